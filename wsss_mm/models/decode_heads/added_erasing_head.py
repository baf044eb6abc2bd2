"""SeeNet's branches B and C beside another CAM head."""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsss_mm.functional import attention_mask, c_relu, fuse_attention
from wsss_mm.models.structures import Context, Features
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .base_cam_head import BaseCAMHead, build_base, resize
from .erasing_branch import (
    NORMAL,
    ScoreBranch,
    check_thresholds,
    classifier_to_score,
    losses_of_the_rest,
)


@MODELS.register_module()
class AddedErasingHead(BaseCAMHead):
    """Add SeeNet's branches B and C to another CAM head, in the place of A.

    The losses of the other head stay as they are; its raw CAM is the attention that
    is erased from the features. This is a combination of ours, not of a paper.

    Args:
        base: Config of the head, such as ``SEAMHead``, without ``num_classes``.
        in_channels: Channels of the feature map that is erased.
        num_classes: Classes of the dataset, background included (K).
        channels: As :class:`ErasingHead`.
        in_index: Where that feature map stands among the features.
        thresholds: As :class:`ErasingHead`.
        test_thresholds: As :class:`ErasingHead`.
        loss_weight: Factor of the losses of the branches B and C.

    Raises:
        ValueError: If thresholds are not ordered, or as the other head does.
    """

    linear = False

    def __init__(
        self,
        base: dict,
        in_channels: int,
        *,
        num_classes: int,
        channels: tuple[int, ...] = (512, 512),
        in_index: int = -1,
        thresholds: tuple[float, float] = (0.7, 0.05),
        test_thresholds: tuple[float, float] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(num_classes, init_cfg=NORMAL)
        check_thresholds(thresholds, test_thresholds or thresholds)
        self.in_index = in_index
        self.thresholds = thresholds
        self.test_thresholds = test_thresholds or thresholds
        self.loss_weight = loss_weight
        self.base = build_base(base, num_classes)
        self.needs_gradients = self.base.needs_gradients
        self.branch_b = ScoreBranch(
            in_channels, tuple(channels), num_classes - 1, dropout_ratio=0.0
        )

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        # A plain CAM classifier goes to the other head, and to a 1x1 branch.
        key = f'{prefix}classifier.weight'
        if key in state_dict:
            state_dict[f'{prefix}base.classifier.weight'] = state_dict[key]
            if not len(self.branch_b.convs):
                classifier_to_score(state_dict, key, f'{prefix}branch_b.score')
            del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, features: Features) -> Tensor:
        """Compute the other head's output for one view."""
        return self.base(features)

    def compute_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Compute the other head's raw CAM, shape (B, C, h, w)."""
        return self.base.raw_cam(context, view)

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compute the other head's losses, and those of the branches B and C."""
        cam = self.raw_cam(context)
        losses = self.base.loss(context.with_cams({'full': cam}))
        labels = self.labels_of(context)
        added = losses_of_the_rest(
            self.branch_b,
            context.features['full'][self.in_index],
            attention_mask(cam, labels),
            labels,
            thresholds=self.thresholds,
        )
        return losses | {n: self.loss_weight * loss for n, loss in added.items()}

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the other head's CAM and the attention of branch B.

        Returns:
            Both, shape (B, C, 2, h, w), and the other head's tag logits, shape (B, C).
            :meth:`to_image` fuses them to maps in [0, 1].

        Raises:
            InputError: If the two maps differ in size.
        """
        raw = self.raw_cam(context)
        cam, logits = self.base.predict(context.with_cams({'full': raw}))
        labels = logits > 0 if context.image_labels is None else context.image_labels
        high, low = self.test_thresholds
        x = context.features['full'][self.in_index]
        if cam.ndim != 4 or cam.shape[-2:] != x.shape[-2:]:
            raise InputError(
                f'the CAM of {type(self.base).__name__} has the shape '
                f'{tuple(cam.shape)}, and the feature map that is erased '
                f'{tuple(x.shape)}: they must be maps of one size; choose another '
                'in_index or base'
            )
        attention = attention_mask(raw, labels)
        rest = self.branch_b(c_relu(x, attention, high=high, low=low))
        return torch.stack([cam, rest], dim=2), logits

    def to_input(self, cam: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Fuse both maps at the size of the network's input, (n, H, W)."""
        own, rest = cam.unbind(dim=1)
        positive = F.relu(self.base.to_input(own, input_size))
        # A propagated CAM is nowhere zero: count from its minimum, as in SEAM.
        own = positive - positive.amin(dim=(1, 2), keepdim=True)
        large = [resize(maps[None], input_size)[0] for maps in (own, rest)]
        return fuse_attention(large)
