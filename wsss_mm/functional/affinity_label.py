"""Confident seeds, the pairs they label, and AffinityNet's loss.

Reference:
    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision for Weakly Supervised Semantic Segmentation" (AffinityNet, or PSA),
    CVPR 2018, section 3.2, and its released code,
    https://github.com/jiwoon-ahn/psa.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .affinity import PairRule, pair_offsets, psa_pairs

IGNORE = 255
EPSILON = 1e-5


class PairLabels(NamedTuple):
    """Which pairs are of one class or of two, bool, each of shape (B, P, h, w)."""

    background: Tensor
    foreground: Tensor
    negative: Tensor


def confident_seed(
    low: NDArray[Any], high: NDArray[Any], *, cell: int = 8
) -> NDArray[np.uint8]:
    """Keep the labels that a strong and a weak background agree on.

    Scores are averaged over square cells first. A cell is foreground if it is so
    beside the strong background, background if it is so beside the weak one, and
    255 otherwise or where all scores vanish, as in padding.

    Args:
        low: Scores with the strong background (a low exponent alpha), background
            first, shape (n + 1, H, W).
        high: Scores with the weak background (a high alpha), same shape.
        cell: Side of a cell in pixels; the last cells may reach beyond the image,
            where scores are 0.

    Returns:
        0 for background, k for the k-th of the n classes, or 255, shape (h, w).

    Raises:
        ValueError: If the shapes differ, there are more than 254 classes or the cell
            is less than 1.

    Example:
        >>> low = np.array([[[0.9, 0.6, 0.1, 0]], [[0.1, 0.4, 0.9, 0]]])
        >>> high = np.array([[[0.8, 0.3, 0.0, 0]], [[0.1, 0.4, 0.9, 0]]])
        >>> confident_seed(low, high, cell=1)
        array([[  0, 255,   1, 255]], dtype=uint8)
    """
    low, high = np.asarray(low), np.asarray(high)
    if low.ndim != 3 or low.shape != high.shape or 0 in low.shape:
        raise ValueError(
            'low and high must share one shape (n + 1, H, W), got '
            f'{low.shape} and {high.shape}'
        )
    if len(low) > IGNORE or cell < 1:
        raise ValueError(
            f'needs at most {IGNORE - 1} classes and a cell of at least one pixel, '
            f'got {len(low) - 1} and {cell}'
        )
    low, high = _mean_pool(low, cell), _mean_pool(high, cell)
    label = low.argmax(axis=0)
    label[label == 0] = IGNORE
    label[high.argmax(axis=0) == 0] = 0
    label[np.maximum(low, high).max(axis=0) < EPSILON] = IGNORE
    return np.asarray(label, dtype=np.uint8)


def _mean_pool(scores: NDArray[Any], cell: int) -> NDArray[Any]:
    count, height, width = scores.shape
    rows, columns = -height % cell, -width % cell
    scores = np.pad(scores.astype(np.float32), ((0, 0), (0, rows), (0, columns)))
    blocks = scores.reshape(count, (height + rows) // cell, cell, -1, cell)
    return np.asarray(blocks.mean(axis=(2, 4)))


def confident_labels(
    foreground: NDArray[np.uint8], background: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Join two masks of one image into a seed, as IRN and Puzzle-CAM do.

    Args:
        foreground: Mask made with a high background threshold, shape (H, W): what is
            foreground here is so for sure.
        background: Mask made with a low threshold, shape (H, W): what is background
            here, and in the other, is so for sure.

    Returns:
        The foreground classes of the first mask, 0 where both masks are 0, and 255
        elsewhere, shape (H, W).

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> few, many = np.array([[3, 0, 0]]), np.array([[3, 3, 0]])
        >>> confident_labels(few.astype(np.uint8), many.astype(np.uint8))
        array([[  3, 255,   0]], dtype=uint8)
    """
    if foreground.ndim != 2 or foreground.shape != background.shape:
        raise ValueError(
            'both masks must share one shape (H, W), got '
            f'{foreground.shape} and {background.shape}'
        )
    unsure = np.where(background == 0, 0, IGNORE)
    seed = np.where(foreground == 0, unsure, foreground)
    return np.asarray(seed, dtype=np.uint8)


def affinity_label(
    seed: Tensor,
    radius: int = 5,
    *,
    num_classes: int = IGNORE,
    pairs: PairRule = psa_pairs,
) -> PairLabels:
    """Say which pairs of confident cells are of one class and which are not.

    Args:
        seed: Labels with 0 for background, integers, shape (B, h, w).
        radius: Of the neighbourhood, in cells.
        num_classes: Labels from this number on are unsure: 255 in AffinityNet, 21 in
            IRN's code.
        pairs: Which pairs exist, see :func:`wsss_mm.functional.pair_affinity`.

    Returns:
        Pairs within the background, pairs within one foreground class, and pairs of
        different classes; others have an unsure end or do not exist.

    Raises:
        ValueError: If `seed` has another shape or type, or negative labels.

    Example:
        >>> from wsss_mm.functional.affinity import complete_pairs
        >>> seed = torch.tensor([[[0, 0, 1, 1, 1, 255]]])
        >>> labels = affinity_label(seed, 2, pairs=complete_pairs)
        >>> [kind.sum().item() for kind in labels]
        [1, 2, 1]
    """
    if seed.ndim != 3 or seed.is_floating_point() or seed.dtype == torch.bool:
        raise ValueError(
            'seed must hold integers of shape (B, h, w), got '
            f'{tuple(seed.shape)} of {seed.dtype}'
        )
    if seed.numel() and seed.min() < 0:
        raise ValueError(f'labels must not be negative, got {seed.min().item()}')
    height, width = seed.shape[-2:]
    exists = pairs(height, width, radius).to(seed.device)
    target = torch.stack(
        [_neighbour(seed, *offset) for offset in pair_offsets(radius)], dim=1
    )
    source = seed[:, None]
    valid = exists & (source < num_classes) & (target < num_classes)
    same = valid & (source == target)
    return PairLabels(
        background=same & (source == 0),
        foreground=same & (source != 0),
        negative=valid & ~same,
    )


def _neighbour(seed: Tensor, dy: int, dx: int) -> Tensor:
    """Bring the neighbour (dy, dx) to each cell; wrong where there is none."""
    return seed.roll((-dy, -dx), dims=(-2, -1))


def affinity_loss(affinity: Tensor, labels: PairLabels) -> Tensor:
    """Compare affinities with labelled pairs, each kind of pair averaged by itself.

    Background pairs and foreground pairs weigh a quarter each, negative pairs a half.

    Args:
        affinity: In [0, 1], shape (B, P, h, w).
        labels: As `affinity_label` gives them, same shape.

    Returns:
        The loss, a scalar; 0 where no pair is labelled.

    Raises:
        ValueError: If the shapes differ.

    Note:
        A quarter of the paper's eq. 6, with the 1e-5 of the released code in
        logarithms and quotients.

    Example:
        >>> one = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        >>> labels = PairLabels(background=one, foreground=~one, negative=~one)
        >>> round(affinity_loss(torch.full((1, 1, 1, 1), 0.5), labels).item(), 3)
        0.173
    """
    shapes = {tuple(kind.shape) for kind in labels}
    if shapes != {tuple(affinity.shape)}:
        raise ValueError(
            f'affinity {tuple(affinity.shape)} and labels {sorted(shapes)} must '
            'share one shape'
        )
    like = -(affinity + EPSILON).log()
    unlike = -(1 + EPSILON - affinity).log()
    return (
        _mean_over(like, labels.background) / 4
        + _mean_over(like, labels.foreground) / 4
        + _mean_over(unlike, labels.negative) / 2
    )


def _mean_over(cost: Tensor, kind: Tensor) -> Tensor:
    chosen = kind.to(cost.dtype)
    return (cost * chosen).sum() / (chosen.sum() + EPSILON)
