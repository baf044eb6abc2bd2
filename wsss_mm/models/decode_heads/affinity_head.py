"""AffinityNet's head: features whose differences say how alike two cells are."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss_mm.functional import (
    affinity_label,
    affinity_loss,
    complete_pairs,
    pair_affinity,
    pair_offsets,
    psa_pairs,
    seam_pairs,
)
from wsss_mm.functional.affinity import PairRule
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .base_affinity_head import BaseAffinityHead

PAIR_RULES: dict[str, PairRule] = {
    'psa': psa_pairs,
    'seam': seam_pairs,
    'complete': complete_pairs,
}


def pair_rule(name: str) -> PairRule:
    """Find a rule for the pairs at a map's border by its name.

    Raises:
        ValueError: If there is no such rule.
    """
    if name not in PAIR_RULES:
        raise InputError(f'pairs={name!r}; choose one of {", ".join(PAIR_RULES)}')
    return PAIR_RULES[name]


def stack_seeds(data_samples: list, size: tuple[int, int], cell: int) -> Tensor:
    """Collect the seeds of a batch.

    Args:
        data_samples: Samples with ``gt_affinity_seed``, shape (1, h, w).
        size: (h, w) of the head's map.
        cell: Pixels from one cell of it to the next.

    Returns:
        Seeds, integers, shape (B, h, w).

    Raises:
        ValueError: If a sample has no seed, or one of another size.
    """
    for sample in data_samples:
        name = sample.metainfo.get('img_path', 'a sample')
        if 'gt_affinity_seed' not in sample:
            raise InputError(
                f'{name}: no affinity seed; the pipeline must load scores '
                '(LoadSeedScores) and keep what is confident (SeedFromScores)'
            )
        found = tuple(sample.gt_affinity_seed.data.shape[-2:])
        if found != size:
            raise InputError(
                f'{name}: the seed has {found[0]} x {found[1]} cells, the features '
                f'have {size[0]} x {size[1]}; set cell={cell}, the stride of the head, '
                'in SeedFromScores'
            )
    return torch.cat([sample.gt_affinity_seed.data for sample in data_samples])


@MODELS.register_module()
class AffinityHead(BaseAffinityHead):
    """Embed feature maps so that cells of one class lie close together.

    Args:
        in_channels: Channels of the feature maps.
        mid_channels: Channels each is squeezed to.
        in_indices: Where they stand among the backbone's outputs.
        norm_groups: Groups of the normalisation behind each squeeze; None for
            none, as on ResNet-38.
        stride: Pixels from one cell to the next: the least stride of the feature
            maps, to which the others are enlarged.
        radius: Of the neighbourhood, in cells.
        pairs: What happens at the map's border: 'psa' and 'seam' leave cells there
            with few neighbours or none, as the released codes of AffinityNet and
            SEAM do (SEAM's takes smaller neighbourhoods on small maps); 'complete'
            gives them all they have, which is better.

    Raises:
        ValueError: If the lists differ in length, or there is no such rule.

    Reference:
        Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
        Supervision", CVPR 2018, section 3.2, in the form of its released code.

    Note:
        The released code averages the differences over the channels where the paper
        adds them up. Unlike SEAM's PCM, this head trains the backbone too.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...] = (512, 1024, 4096),
        mid_channels: tuple[int, ...] = (64, 128, 256),
        *,
        in_indices: tuple[int, ...] = (1, 2, 3),
        norm_groups: tuple[int, ...] | None = None,
        stride: int = 8,
        radius: int = 5,
        pairs: str = 'psa',
    ) -> None:
        super().__init__()
        groups = (None,) * len(in_channels) if norm_groups is None else norm_groups
        lengths = {len(x) for x in (in_channels, mid_channels, in_indices, groups)}
        if len(lengths) != 1:
            raise InputError(
                'in_channels, mid_channels, in_indices and norm_groups must be '
                f'equally long, got {len(in_channels)}, {len(mid_channels)}, '
                f'{len(in_indices)} and {len(groups)}'
            )
        self.in_indices = tuple(in_indices)
        self.stride = stride
        self.radius = radius
        self.pairs = pair_rule(pairs)
        self.offsets = pair_offsets(radius)
        self.embed = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1, bias=False)
            for inputs, outputs in zip(in_channels, mid_channels)
        )
        self.norms = nn.ModuleList(
            nn.Identity() if count is None else nn.GroupNorm(count, outputs)
            for count, outputs in zip(groups, mid_channels)
        )
        width = sum(mid_channels)
        self.fuse = nn.Conv2d(width, width, 1, bias=False)

    def init_weights(self) -> None:
        """Initialise as the reference does: Kaiming, and Xavier with gain 4."""
        super().init_weights()
        for conv in self.embed:
            nn.init.kaiming_normal_(conv.get_parameter('weight'))
        nn.init.xavier_uniform_(self.fuse.weight, gain=4)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Embed every cell of a batch.

        Args:
            features: The backbone's outputs.

        Returns:
            The embedding, shape (B, D, h, w), at the finest of the maps used.
        """
        taps = [features[index] for index in self.in_indices]
        size = max((tap.shape[-2:] for tap in taps), key=lambda side: side.numel())
        parts = []
        for tap, embed, norm in zip(taps, self.embed, self.norms):
            part = F.elu(norm(embed(tap)))
            if part.shape[-2:] != size:
                part = F.interpolate(part, size, mode='bilinear', align_corners=False)
            parts.append(part)
        return F.elu(self.fuse(torch.cat(parts, dim=1)))

    def affinity(self, features: tuple[Tensor, ...]) -> Tensor:
        """Compute the affinity map, shape (B, P, h, w)."""
        return pair_affinity(self(features), self.radius, pairs=self.pairs)

    def loss(
        self, features: tuple[Tensor, ...], data_samples: list
    ) -> dict[str, Tensor]:
        """Compare the affinities with the pairs that the seeds label."""
        affinity = self.affinity(features)
        height, width = affinity.shape[-2:]
        seeds = stack_seeds(data_samples, (height, width), self.stride)
        labels = affinity_label(seeds, self.radius, pairs=self.pairs)
        return {'loss_affinity': affinity_loss(affinity, labels)}

    def predict(
        self, views: list[tuple[Tensor, ...]], cells: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Compute the affinity map of every image from its only view.

        Args:
            views: Features of the padded images.
            cells: (h, w) cells of the images; padding has no part in a pair.
        """
        embedding = self(views[0])[..., : cells[0], : cells[1]]
        affinity = pair_affinity(embedding, self.radius, pairs=self.pairs)
        return {'affinity': affinity}
