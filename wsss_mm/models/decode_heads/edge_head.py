"""IRN's boundary branch, which Puzzle-CAM calls AffinityNet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss_mm.functional import (
    affinity_label,
    affinity_loss,
    complete_pairs,
    edge_affinity,
    pair_offsets,
)
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .affinity_head import pair_rule, stack_seeds
from .base_affinity_head import BaseAffinityHead


@MODELS.register_module()
class EdgeHead(BaseAffinityHead):
    """Find edges such that cells of one class have none between them.

    Args:
        in_channels: Channels of the feature maps.
        strides: Their strides; all are enlarged to the least of them.
        in_indices: Where they stand among the backbone's outputs.
        mid_channels: Channels each is squeezed to; they must divide into
            `norm_groups` groups.
        norm_groups: Groups of the normalisation.
        train_radius: Of the neighbourhood in training, in cells.
        radius: Of the neighbourhood at inference, in cells.
        pairs: What happens at the map's border in training, see
            :class:`AffinityHead`; at inference all pairs exist.

    Raises:
        ValueError: If the lists differ in length, or there is no such rule.

    Reference:
        Ahn et al., "Weakly Supervised Learning of Instance Segmentation with
        Inter-pixel Relations" (IRN), CVPR 2019, section 4.2, in the form of
        Puzzle-CAM's released code.

    Note:
        As there the features are detached: only this head learns. The edges of an
        image and of its mirror are averaged at inference.
    """

    sees_mirror = True

    def __init__(
        self,
        in_channels: tuple[int, ...] = (64, 256, 512, 1024, 2048),
        strides: tuple[int, ...] = (4, 4, 8, 16, 16),
        *,
        in_indices: tuple[int, ...] = (0, 1, 2, 3, 4),
        mid_channels: int = 32,
        norm_groups: int = 4,
        train_radius: int = 10,
        radius: int = 5,
        pairs: str = 'psa',
    ) -> None:
        super().__init__()
        if not len(in_channels) == len(strides) == len(in_indices):
            raise InputError(
                'in_channels, strides and in_indices must be equally long, got '
                f'{len(in_channels)}, {len(strides)} and {len(in_indices)}'
            )
        self.in_indices = tuple(in_indices)
        self.stride = min(strides)
        self.factors = [stride // self.stride for stride in strides]
        self.train_radius = train_radius
        self.radius = radius
        self.pairs = pair_rule(pairs)
        self.offsets = pair_offsets(radius)
        self.squeeze = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, mid_channels, 1, bias=False),
                nn.GroupNorm(norm_groups, mid_channels),
            )
            for inputs in in_channels
        )
        self.classifier = nn.Conv2d(len(in_channels) * mid_channels, 1, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Compute the edges' logits, shape (B, 1, h, w)."""
        taps = [features[index].detach() for index in self.in_indices]
        height, width = taps[self.factors.index(1)].shape[-2:]
        parts = []
        for tap, squeeze, factor in zip(taps, self.squeeze, self.factors):
            part = squeeze(tap)
            if factor > 1:
                part = F.interpolate(
                    part, scale_factor=factor, mode='bilinear', align_corners=False
                )
            parts.append(F.relu(part[..., :height, :width]))
        return self.classifier(torch.cat(parts, dim=1))

    def loss(
        self, features: tuple[Tensor, ...], data_samples: list
    ) -> dict[str, Tensor]:
        """Compare the affinities with the pairs that the seeds label."""
        edge = self(features).sigmoid()[:, 0]
        height, width = edge.shape[-2:]
        seeds = stack_seeds(data_samples, (height, width), self.stride)
        affinity = edge_affinity(edge, self.train_radius, pairs=self.pairs)
        labels = affinity_label(seeds, self.train_radius, pairs=self.pairs)
        return {'loss_affinity': affinity_loss(affinity, labels)}

    def predict(
        self, views: list[tuple[Tensor, ...]], cells: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Compute edges and affinity map of every image.

        Args:
            views: Features of the padded images, and of their padded mirrors.
            cells: (h, w) cells of the images.

        Returns:
            ``affinity``, shape (B, P, h, w), and ``edge``, shape (B, 1, h, w), in
            [0, 1].
        """
        height, width = cells
        straight, mirrored = (
            self(features)[..., :height, :width] for features in views
        )
        edge = ((straight + mirrored.flip(-1)) / 2).sigmoid()
        affinity = edge_affinity(edge[:, 0], self.radius, pairs=complete_pairs)
        return {'affinity': affinity, 'edge': edge}
