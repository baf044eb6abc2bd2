"""Pairs of neighbouring cells and how alike they are: AffinityNet.

An affinity map has the shape (B, P, h, w): entry [p, y, x] is the affinity of the
cells (y, x) and (y + dy, x + dx), where (dy, dx) is the p-th of `pair_offsets`. A
pair is stored once, at its upper cell, and is exactly 0 where it does not exist.

Reference:
    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision for Weakly Supervised Semantic Segmentation" (AffinityNet, or PSA),
    CVPR 2018, and its released code, https://github.com/jiwoon-ahn/psa.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Offsets = tuple[tuple[int, int], ...]
PairRule = Callable[[int, int, int], Tensor]


def pair_offsets(radius: int) -> Offsets:
    """List the neighbours (dy, dx) of a cell within a half disc.

    Row by row, below and to the right of the cell, which is not its own neighbour;
    their distance is less than the radius. The order is AffinityNet's.

    Args:
        radius: In cells, at least 2.

    Raises:
        ValueError: If the radius is less than 2: no cell is that near.

    Example:
        >>> pair_offsets(2)
        ((0, 1), (1, -1), (1, 0), (1, 1))
    """
    if radius < 2:
        raise ValueError(f'radius must be at least 2 cells, got {radius}')
    right = [(0, dx) for dx in range(1, radius)]
    below = [
        (dy, dx)
        for dy in range(1, radius)
        for dx in range(1 - radius, radius)
        if dy * dy + dx * dx < radius * radius
    ]
    return (*right, *below)


def complete_pairs(height: int, width: int, radius: int) -> Tensor:
    """Say which pairs have both ends on the map.

    Every cell has all its neighbours, those at the border too. IRN gets the same
    pairs at inference by padding the map.

    Args:
        height: Of the map.
        width: Of the map.
        radius: Of the neighbourhood.

    Returns:
        Whether a pair exists, bool, shape (P, h, w).

    Example:
        >>> complete_pairs(2, 2, 2).sum(dim=(1, 2)).tolist()
        [2, 1, 2, 1]
    """
    offsets = pair_offsets(radius)
    exists = torch.zeros(len(offsets), height, width, dtype=torch.bool)
    for present, (dy, dx) in zip(exists, offsets):
        rows, columns = source_window(height, width, dy, dx)
        present[rows, columns] = True
    return exists


def psa_pairs(height: int, width: int, radius: int) -> Tensor:
    """Say which pairs AffinityNet's released code uses.

    Only cells whose whole half disc lies on the map are upper ends of pairs, so the
    cells at the border have fewer neighbours and some corners have none. A map that
    is too small for a single such cell gets the pairs of a smaller radius.

    Args:
        height: Of the map.
        width: Of the map.
        radius: Of the neighbourhood.

    Returns:
        Whether a pair exists, bool, shape (P, h, w).

    Note:
        The released code crashes on the small maps.

    Example:
        >>> psa_pairs(2, 3, 2).nonzero().tolist()
        [[0, 0, 1], [1, 0, 1], [2, 0, 1], [3, 0, 1]]
    """
    if height < radius or width < 2 * radius - 1:
        return _inner_pairs(height, width, radius, _shrunk(height, width))
    return _inner_pairs(height, width, radius, radius)


def seam_pairs(height: int, width: int, radius: int) -> Tensor:
    """Say which pairs SEAM's variant of AffinityNet uses.

    As `psa_pairs`, but a map with a side of at most twice the radius already gets
    the pairs of a smaller radius, (side - 1) // 2.

    Args:
        height: Of the map.
        width: Of the map.
        radius: Of the neighbourhood.

    Returns:
        Whether a pair exists, bool, shape (P, h, w).

    Example:
        >>> seam_pairs(3, 9, 2).any(), psa_pairs(3, 9, 2).any()
        (tensor(False), tensor(True))
    """
    if min(height, width) < 2 * radius + 1:
        return _inner_pairs(height, width, radius, _shrunk(height, width))
    return _inner_pairs(height, width, radius, radius)


def _shrunk(height: int, width: int) -> int:
    return (min(height, width) - 1) // 2


def _inner_pairs(height: int, width: int, radius: int, used: int) -> Tensor:
    """Mark the offsets within the radius used, from cells whose half disc fits."""
    offsets = pair_offsets(radius)
    exists = torch.zeros(len(offsets), height, width, dtype=torch.bool)
    used = min(used, radius)
    if used < 1 or height < used or width < 2 * used - 1:
        return exists
    rows, columns = slice(height - used + 1), slice(used - 1, width - used + 1)
    for present, (dy, dx) in zip(exists, offsets):
        present[rows, columns] = dy * dy + dx * dx < used * used
    return exists


def pair_affinity(
    features: Tensor, radius: int = 5, *, pairs: PairRule = psa_pairs
) -> Tensor:
    """Compute how alike the features of neighbouring cells are.

    The affinity is exp(-d) with d the mean absolute difference over the channels.
    Memory stays at a few maps: differences are never stored for all pairs, and are
    computed again for the gradient, which is exact.

    Args:
        features: Floating point, shape (B, D, h, w).
        radius: Of the neighbourhood, in cells.
        pairs: Which pairs exist: `psa_pairs`, `seam_pairs` or `complete_pairs`.

    Returns:
        Affinity map in (0, 1], 0 where a pair does not exist, shape (B, P, h, w).

    Raises:
        ValueError: If `features` has another shape or type, or the radius is less
            than 2.

    Note:
        The paper sums over the channels; its released code takes the mean, as here.

    Example:
        >>> pair_affinity(torch.zeros(1, 2, 2, 3), 2)[0, :, 0, 1]
        tensor([1., 1., 1., 1.])
    """
    if features.ndim != 4 or not features.is_floating_point() or 0 in features.shape:
        raise ValueError(
            'features must be a floating point batch of shape (B, D, h, w), got '
            f'{tuple(features.shape)} of {features.dtype}'
        )
    offsets = pair_offsets(radius)
    height, width = features.shape[-2:]
    exists = pairs(height, width, radius).to(features.device)
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    apply: Any = _PairAffinity.apply
    affinity: Tensor = apply(features, offsets)
    return affinity.masked_fill(~exists, 0)


class _PairAffinity(torch.autograd.Function):
    """exp(-mean |difference|) of every pair on the map."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: Offsets) -> Tensor:
        batch, _, height, width = features.shape
        affinity = features.new_zeros(batch, len(offsets), height, width)
        for p, (dy, dx) in enumerate(offsets):
            source = source_window(height, width, dy, dx)
            difference = cut(features, source) - cut(
                features, target_window(source, dy, dx)
            )
            cut(affinity[:, p], source).copy_((-difference.abs().mean(dim=1)).exp())
        ctx.save_for_backward(features, affinity)
        ctx.offsets = offsets
        return affinity

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        features, affinity = ctx.saved_tensors
        height, width = features.shape[-2:]
        # d exp(-|a - b| / D) / da = -affinity sign(a - b) / D, and minus that for b.
        share = -grad * affinity / features.shape[1]
        gradient = torch.zeros_like(features)
        for p, (dy, dx) in enumerate(ctx.offsets):
            source = source_window(height, width, dy, dx)
            target = target_window(source, dy, dx)
            sign = (cut(features, source) - cut(features, target)).sign_()
            sign.mul_(cut(share[:, p], source)[:, None])
            cut(gradient, source).add_(sign)
            cut(gradient, target).sub_(sign)
        return gradient, None


def source_window(height: int, width: int, dy: int, dx: int) -> tuple[slice, slice]:
    """Give the cells whose neighbour (dy, dx) is on the map; maybe none."""
    left = min(max(-dx, 0), width)
    return (
        slice(0, max(height - dy, 0)),
        slice(left, max(width - max(dx, 0), left)),
    )


def target_window(source: tuple[slice, slice], dy: int, dx: int) -> tuple[slice, slice]:
    """Give the neighbours (dy, dx) of the source cells, in their order."""
    rows, columns = source
    if rows.start == rows.stop or columns.start == columns.stop:
        return source
    return (
        slice(rows.start + dy, rows.stop + dy),
        slice(columns.start + dx, columns.stop + dx),
    )


def cut(maps: Tensor, window: tuple[slice, slice]) -> Tensor:
    """Cut a window out of maps of shape (..., h, w), without a copy."""
    rows, columns = window
    return maps[..., rows, columns]
