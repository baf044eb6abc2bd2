"""Affinity of all pairs of cells, learnt from pseudo masks.

References:
    Zhang et al., "Frozen CLIP: A Strong Backbone for Weakly Supervised Semantic
    Segmentation" (WeCLIP), CVPR 2024, section 3.4, and its released code,
    https://github.com/zbf1991/WeCLIP; label and loss are those of Ru et al., "Learning
    Affinity from Attention" (AFA), CVPR 2022, section 3.3.
"""

import torch
from torch import Tensor

IGNORE = 255


def feature_affinity(features: Tensor) -> Tensor:
    """Say how likely two cells are of one class: the sigmoid of their product.

    Args:
        features: Shape (B, D, h, w).

    Returns:
        Affinities in (0, 1), symmetric, shape (B, N, N) with N = h w; half precision
        is computed in float32.

    Raises:
        ValueError: If the shape is another.
    """
    if features.ndim != 4 or not features.numel():
        raise ValueError(
            f'features must have the shape (B, D, h, w), got {tuple(features.shape)}'
        )
    cells = features.flatten(2)
    if cells.dtype in (torch.float16, torch.bfloat16):
        cells = cells.float()
    with torch.autocast(cells.device.type, enabled=False):
        return torch.sigmoid(cells.mT @ cells)


def dense_affinity_label(mask: Tensor, *, radius: int = 8) -> Tensor:
    """Say which pairs of near cells are of one class.

    Args:
        mask: Labels with 0 for background and 255 for what is unsure, integers, shape
            (B, h, w).
        radius: Cells are near if neither their rows nor their columns are further
            apart.

    Returns:
        1 for pairs of one class, background included, 0 for pairs of two, and 255
        where cells are not near or one is unsure, int64, shape (B, N, N).

    Raises:
        ValueError: If the shape or type is another, or the radius is negative.

    Example:
        >>> dense_affinity_label(torch.tensor([[[0, 0, 3, 255]]]), radius=1)[0]
        tensor([[  1,   1, 255, 255],
                [  1,   1,   0, 255],
                [255,   0,   1, 255],
                [255, 255, 255, 255]])
    """
    integer = not (mask.is_floating_point() or mask.dtype == torch.bool)
    if mask.ndim != 3 or not integer:
        raise ValueError(
            f'mask must hold integers of shape (B, h, w), got {tuple(mask.shape)} of '
            f'{mask.dtype}'
        )
    if radius < 0:
        raise ValueError(f'radius must not be negative, got {radius}')
    cells = mask.flatten(1)
    label = (cells[:, :, None] == cells[:, None]).long()
    sure = cells != IGNORE
    near = _near(mask.shape[1], mask.shape[2], radius, mask.device)
    counts = sure[:, :, None] & sure[:, None] & near
    return label.masked_fill(~counts, IGNORE)


def dense_affinity_loss(affinity: Tensor, label: Tensor) -> Tensor:
    """Compare affinities with labelled pairs, either kind of pair averaged by itself.

    Args:
        affinity: In [0, 1], shape (B, N, N).
        label: As `dense_affinity_label` gives it, same shape.

    Returns:
        The loss, a scalar in [0, 1): mean of 1 - a over pairs of one class and of a
        over pairs of two, over the whole batch, half each; 0 where there are none.

    Raises:
        ValueError: If the shapes differ.

    Note:
        As released, the counts that the sums are divided by are one too high.
    """
    if affinity.shape != label.shape:
        raise ValueError(
            f'affinity {tuple(affinity.shape)} and label {tuple(label.shape)} must '
            'have the same shape'
        )
    same, other = (label == 1).to(affinity.dtype), (label == 0).to(affinity.dtype)
    like = (same * (1 - affinity)).sum() / (same.sum() + 1)
    unlike = (other * affinity).sum() / (other.sum() + 1)
    return (like + unlike) / 2


def _near(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """Mark the pairs of cells within a square window, bool, shape (N, N)."""
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    y, x = y.flatten(), x.flatten()
    far = torch.maximum((y[:, None] - y).abs(), (x[:, None] - x).abs())
    return far <= radius
