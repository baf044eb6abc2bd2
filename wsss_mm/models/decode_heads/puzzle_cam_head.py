"""Puzzle-CAM: the CAM of an image and that of its pieces should be one."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from wsss_mm.functional import (
    merge_tiles,
    reconstruction_loss,
    tag_entropy,
    tag_loss,
    training_max_norm,
)
from wsss_mm.models.structures import Context, Features
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .base_cam_head import BaseCAMHead, build_base
from .cam_head import CAMHead

LEVELS: dict[str, Callable[[Tensor], Tensor]] = {
    'logits': nn.Identity(),
    'cam': training_max_norm,
}


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """How the CAM of an image is compared with that of its pieces.

    Attributes:
        level: What is compared: raw maps ('logits') or maps divided by their maximum
            ('cam').
        masking: What absent classes do, see :func:`reconstruction_loss`.
        distance: 'l1' or 'l2'.

    Raises:
        ValueError: If there is no such level.

    Note:
        The pieces' tag logits are the means of their raw maps at either level. At
        level 'cam', which has no published figure, the released code averages the
        normalised maps instead: these logits are never negative, so that no class can
        be denied.
    """

    level: str = 'logits'
    masking: str = 'tags'
    distance: str = 'l1'

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise InputError(f'level={self.level!r}; choose one of {", ".join(LEVELS)}')

    def losses(
        self, cam: Tensor, tiles: Tensor, labels: Tensor, *, weight: float
    ) -> dict[str, Tensor]:
        """Compute the two losses that pieces add to a CAM's own.

        Args:
            cam: Raw CAM of the full images, shape (B, C, h, w).
            tiles: Raw CAM of their pieces, shape (pieces B, C, h', w').
            labels: Tags, shape (B, C).
            weight: Factor of the reconstruction loss.

        Raises:
            ValueError: If the pieces' maps do not make up the full map.
        """
        merged = merge_tiles(tiles, len(tiles) // len(cam))
        if merged.shape != cam.shape:
            raise InputError(
                f'the CAMs of the pieces make up {tuple(merged.shape[-2:])} cells, '
                f'that of the full image has {tuple(cam.shape[-2:])}; the sides of '
                "a piece must be multiples of the network's stride: choose such a "
                'crop_size'
            )
        prepare = LEVELS[self.level]
        difference = reconstruction_loss(
            prepare(cam),
            prepare(merged),
            labels,
            masking=self.masking,
            distance=self.distance,
        )
        return {
            'loss_p_cls': tag_loss(merged.mean(dim=(2, 3)), labels),
            'loss_re': weight * difference,
        }


@MODELS.register_module()
class PuzzleCAMHead(CAMHead):
    """Tie the CAM of an image to the CAMs of its pieces.

    Expects the views of :class:`PuzzleViews`. Prediction is that of a plain CAM.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        in_index: Where the feature map stands among the features.
        dropout_ratio: Channel dropout before the classifier.
        reconstruction: Settings of :class:`Reconstruction` that differ from its own.
        entropy_weight: Weight of the loss that makes the pieces' tags decided, 0 for
            the published form.
        reconstruction_weight: Weight of the reconstruction loss;
            :class:`ReconstructionRampHook` lets it grow.

    Raises:
        ValueError: If ``num_classes`` leaves no foreground class, or there is no such
            level.

    Reference:
        Jo and Yu, "Puzzle-CAM: Improved localization via matching partial and full
        features", ICIP 2021, eq. 3 to 6.

    Note:
        The paper compares CAMs; the released code compares raw logits, masked by the
        tags, and that is the default.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        dropout_ratio: float = 0.0,
        reconstruction: dict[str, str] | None = None,
        entropy_weight: float = 0.0,
        reconstruction_weight: float = 4.0,
    ) -> None:
        super().__init__(
            in_channels, num_classes, in_index=in_index, dropout_ratio=dropout_ratio
        )
        self.reconstruction = Reconstruction(**(reconstruction or {}))
        self.entropy_weight = entropy_weight
        self.reconstruction_weight = reconstruction_weight

    def init_weights(self) -> None:
        """Initialise the classifier as the reference does (Kaiming)."""
        super().init_weights()
        nn.init.kaiming_normal_(self.classifier.weight)

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compute the losses of the full view, of the pieces, and between them."""
        labels = self.labels_of(context)
        cam, tiles = (self.raw_cam(context, name) for name in ('full', 'tiles'))
        losses = self.reconstruction.losses(
            cam, tiles, labels, weight=self.reconstruction_weight
        )
        if self.entropy_weight:
            entropy = tag_entropy(tiles.mean(dim=(2, 3)))
            losses['loss_entropy'] = self.entropy_weight * entropy
        return {'loss_cls': tag_loss(cam.mean(dim=(2, 3)), labels), **losses}


@MODELS.register_module()
class AddedPuzzleHead(BaseCAMHead):
    """Add Puzzle-CAM's losses to another CAM head.

    Expects the other head's views with the pieces of :class:`PuzzleViews` added. Its
    losses stay as they are, and it predicts. This is a combination of ours, not of a
    paper.

    Args:
        base: Config of the head, such as ``SEAMHead``, without ``num_classes``.
        num_classes: Classes of the dataset, background included (K).
        reconstruction: As :class:`PuzzleCAMHead`.
        reconstruction_weight: As :class:`PuzzleCAMHead`.

    Raises:
        ValueError: If there is no such level, or as the other head does.
    """

    def __init__(
        self,
        base: dict,
        num_classes: int,
        *,
        reconstruction: dict[str, str] | None = None,
        reconstruction_weight: float = 4.0,
    ) -> None:
        super().__init__(num_classes)
        self.base = build_base(base, num_classes)
        self.linear = self.base.linear
        self.needs_gradients = self.base.needs_gradients
        self.reconstruction = Reconstruction(**(reconstruction or {}))
        self.reconstruction_weight = reconstruction_weight

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        # A plain CAM classifier goes to the other head.
        key = f'{prefix}classifier.weight'
        if key in state_dict:
            state_dict[f'{prefix}base.classifier.weight'] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, features: Features) -> Tensor:
        """Compute the other head's output for one view."""
        return self.base(features)

    def compute_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Compute the other head's raw CAM, shape (B, C, h, w)."""
        return self.base.raw_cam(context, view)

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compute the other head's losses, and those of the pieces."""
        cams = {name: self.raw_cam(context, name) for name in ('full', 'tiles')}
        losses = self.base.loss(context.with_cams(cams).without('tiles'))
        added = self.reconstruction.losses(
            cams['full'],
            cams['tiles'],
            self.labels_of(context),
            weight=self.reconstruction_weight,
        )
        return losses | added

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Predict what the other head predicts."""
        return self.base.predict(context)

    def to_input(self, cam: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Resize as the other head does."""
        return self.base.to_input(cam, input_size)

    def to_image(
        self, cam: Tensor, input_size: tuple[int, int], image_size: tuple[int, int]
    ) -> Tensor:
        """Resize as the other head does."""
        return self.base.to_image(cam, input_size, image_size)
