"""SEAM: equivariant regularisation and pixel correlation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss_mm.functional import (
    competing_foreground,
    equivariance_loss,
    equivariant_cross_loss,
    min_pool_loss,
    pixel_correlation,
    tag_loss,
    training_min_max_norm,
    upsampled_mean,
    with_background,
)
from wsss_mm.models.structures import Context, Features
from wsss_mm.registry import MODELS

from .cam_head import CAMHead


def upsample(cam: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps to the network's input, shape (B, *, H, W)."""
    return F.interpolate(cam, size, mode='bilinear', align_corners=True)


def pick(cam: Tensor, index: Tensor) -> Tensor:
    """Take some channels of each sample: (B, C, h, w) and (B, n) to (B, n, h, w)."""
    return cam.gather(1, index[:, :, None, None].expand(-1, -1, *cam.shape[-2:]))


@MODELS.register_module()
class SEAMHead(CAMHead):
    """Tie the CAMs of two views together, and refine them by pixel correlation.

    Expects the views of :class:`EquivariantViews` and the features of
    :class:`PCMNeck` (the embedding last).

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        in_index: Where the classified feature map stands among the features.
        dropout_ratio: Channel dropout before the classifier.
        ecr_ratio: Share of the largest differences that equivariant cross
            regularisation averages; 1.0 is the plain mean of the paper.
        er_weight: Weight of the equivariance loss.
        ecr_weight: Weight of the equivariant cross loss.
        min_pool_weight: Weight of the min-pooling loss, 0 for the paper's form.

    The classifier of a trained :class:`CAMHead` loads too (``load_from``).

    Reference:
        Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly
        Supervised Semantic Segmentation", CVPR 2020, eq. 4 to 8.

    Note:
        Defaults are the released code, which produced the published numbers: the
        classifier has an untrained background channel, the targets of the cross
        loss are detached, a fifth of the pixels counts in it, and a min-pooling
        loss holds the refined background down.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -2,
        dropout_ratio: float = 0.5,
        ecr_ratio: float = 0.2,
        er_weight: float = 1.0,
        ecr_weight: float = 1.0,
        min_pool_weight: float = 1.0,
    ) -> None:
        super().__init__(
            in_channels, num_classes, in_index=in_index, dropout_ratio=dropout_ratio
        )
        self.ecr_ratio = ecr_ratio
        self.er_weight = er_weight
        self.ecr_weight = ecr_weight
        self.min_pool_weight = min_pool_weight

    def build_classifier(self, in_channels: int) -> nn.Conv2d:
        """Make the 1x1 classifier; its channel 0 is an untrained background."""
        return nn.Conv2d(in_channels, self.num_classes, 1, bias=False)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        # A plain CAM classifier has no background channel: give it a silent one.
        key = f'{prefix}classifier.weight'
        weight = state_dict.get(key)
        if weight is not None and len(weight) == self.num_classes - 1:
            state_dict[key] = F.pad(weight, (0, 0, 0, 0, 0, 0, 1, 0))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def refine(self, cam: Tensor, features: Features) -> Tensor:
        """Spread a raw CAM over look-alike pixels, shape (B, K, h, w).

        No gradient reaches the CAM: only the embedding learns from the result.

        Args:
            cam: Raw CAM, shape (B, K, h, w) or without the background, (B, C, h, w).
            features: The feature maps of its view, the embedding last.
        """
        foreground = cam[:, -self.num_foreground :]
        return pixel_correlation(competing_foreground(foreground), features[-1])

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compute the four losses of SEAM from the two views.

        Maps of absent classes are zero in all but the tag loss, so only as many
        channels are resized as the batch's richest image has classes.
        """
        labels = self.labels_of(context)
        count = max(1, int(labels.sum(dim=1).max()))
        index = labels.argsort(dim=1, descending=True, stable=True)[:, :count]
        present = labels.gather(1, index)[:, :, None, None]
        cams: dict[str, Tensor] = {}
        refined: dict[str, Tensor] = {}
        cls, min_pool, norm = [], [], training_min_max_norm
        for name in context.views:
            size = context.input_size(name)
            raw = self.raw_cam(context, name)
            rv = self.refine(raw, context.features[name])
            cls.append(tag_loss(upsampled_mean(raw, size), labels))
            cam = upsample(pick(raw, index), size)
            rv = upsample(torch.cat([rv[:, :1], pick(rv[:, 1:], index)], dim=1), size)
            min_pool.append(min_pool_loss(rv[:, 1:] * present))
            # Both views are compared in the transformed view's frame.
            if name == 'full':
                to_frame = context.views['transformed'].on_cam
                cam, rv = to_frame(norm(cam)), to_frame(norm(rv))
            else:
                cam, rv = norm(cam), norm(rv)
            cams[name] = cam * present
            refined[name] = rv * F.pad(present, (0, 0, 0, 0, 1, 0), value=1.0)
        absent = self.num_foreground - count
        er = equivariance_loss(cams['full'], cams['transformed'], absent=absent)
        target = {name: with_background(cam) for name, cam in cams.items()}
        ecr = [
            equivariant_cross_loss(
                refined[one], target[other], ratio=self.ecr_ratio, absent=absent
            )
            for one, other in (('full', 'transformed'), ('transformed', 'full'))
        ]
        return {
            'loss_cls': torch.stack(cls).mean(),
            'loss_min_pool': self.min_pool_weight * torch.stack(min_pool).mean(),
            'loss_er': self.er_weight * er,
            'loss_ecr': self.ecr_weight * torch.stack(ecr).sum(),
        }

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the refined CAM of the foreground, and the tag logits."""
        raw = self.raw_cam(context)
        refined = self.refine(raw, context.features['full'])
        return refined[:, 1:], raw.mean(dim=(2, 3))

    def to_input(self, cam: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Resize maps to the network's input with aligned corners, (n, H, W)."""
        return upsample(cam[None], input_size)[0]
