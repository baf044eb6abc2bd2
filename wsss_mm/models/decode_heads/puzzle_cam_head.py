"""Puzzle-CAM: the CAM of an image and that of its pieces should be one."""

from collections.abc import Callable
from dataclasses import dataclass

from mmengine.model import BaseModule
from torch import Tensor, nn

from wsss_mm.functional import (
    merge_tiles,
    peak_norm,
    reconstruction_loss,
    tag_entropy,
    tag_loss,
)
from wsss_mm.models.data_preprocessors import View
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .cam_head import CAMHead, Features, stack_image_labels

LEVELS: dict[str, Callable[[Tensor], Tensor]] = {
    'logits': nn.Identity(),
    'cam': peak_norm,
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

    def loss(
        self, features: dict[str, Features], views: dict[str, View], data_samples: list
    ) -> dict[str, Tensor]:
        """Compute the losses of the full view, of the pieces, and between them."""
        labels = stack_image_labels(data_samples, self.num_classes - 1)
        cam, tiles = self(features['full']), self(features['tiles'])
        losses = self.reconstruction.losses(
            cam, tiles, labels, weight=self.reconstruction_weight
        )
        if self.entropy_weight:
            entropy = tag_entropy(tiles.mean(dim=(2, 3)))
            losses['loss_entropy'] = self.entropy_weight * entropy
        return {'loss_cls': tag_loss(cam.mean(dim=(2, 3)), labels), **losses}


@MODELS.register_module()
class AddedPuzzleHead(BaseModule):
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

    align_corners = False

    def __init__(
        self,
        base: dict,
        num_classes: int,
        *,
        reconstruction: dict[str, str] | None = None,
        reconstruction_weight: float = 4.0,
    ) -> None:
        super().__init__()
        self.num_classes = self.out_channels = num_classes
        self.base = MODELS.build({**base, 'num_classes': num_classes})
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
        """Compute the other head's raw CAM of the foreground, (B, C, h, w)."""
        # Some heads have an untrained background channel in front.
        return self.base(features)[:, 1 - self.num_classes :]

    def loss(
        self, features: dict[str, Features], views: dict[str, View], data_samples: list
    ) -> dict[str, Tensor]:
        """Compute the other head's losses, and those of the pieces."""
        others = {name: view for name, view in views.items() if name != 'tiles'}
        losses = self.base.loss(features, others, data_samples)
        labels = stack_image_labels(data_samples, self.num_classes - 1)
        added = self.reconstruction.losses(
            self(features['full']),
            self(features['tiles']),
            labels,
            weight=self.reconstruction_weight,
        )
        return losses | added

    def predict(
        self, features: Features, image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Predict what the other head predicts."""
        return self.base.predict(features, image_size)
