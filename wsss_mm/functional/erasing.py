"""Self-erasing: hide what one classifier attends to from another.

References:
    Hou et al., "Self-Erasing Network for Integral Object Attention" (SeeNet),
    NeurIPS 2018, and its released deploy network, C-ReLU layer and notebook,
    https://github.com/Andrew-Qibin/SeeNet.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .cam import check_views

EPS = 1e-8


def attention_mask(scores: Tensor, labels: Tensor) -> Tensor:
    """Merge the maps of the classes an image has into one attention map.

    Each present class is clipped at zero and stretched from its minimum to its
    maximum; the strongest class counts at every cell. No gradient passes.

    Source: SeeNet, the C-ReLU layer of the released code, for whole batches.

    Args:
        scores: Class maps, shape (B, C, h, w).
        labels: Multi-hot image tags, shape (B, C).

    Returns:
        Attention in [0, 1], shape (B, 1, h, w), cut off from the graph; zero for
        an image without classes.

    Raises:
        ValueError: If the shapes do not fit or there is no cell.

    Example:
        >>> scores = torch.tensor([[[[-1.0, 1.0, 2.0]], [[9.0, 8.0, 7.0]]]])
        >>> attention_mask(scores, torch.tensor([[1, 0]])).flatten().tolist()
        [0.0, 0.5, 1.0]
    """
    if scores.ndim != 4 or 0 in scores.shape[1:]:
        raise ValueError(
            'scores must have the shape (B, C, h, w) with at least one channel and '
            f'cell, got {tuple(scores.shape)}'
        )
    if labels.shape != scores.shape[:2]:
        raise ValueError(
            f'labels must have the shape {tuple(scores.shape[:2])} of the batch and '
            f'the channels of scores, got {tuple(labels.shape)}'
        )
    positive = F.relu(scores.detach())
    high = positive.amax(dim=(2, 3), keepdim=True)
    low = positive.amin(dim=(2, 3), keepdim=True)
    stretched = (positive - low) / (high - low + EPS)
    present = labels.to(stretched)[:, :, None, None]
    return (stretched * present).amax(dim=1, keepdim=True)


def ternary_mask(attention: Tensor, *, high: float, low: float) -> Tensor:
    """Sort cells into object (0), neither (1) and background (-1).

    Both comparisons are strict: a cell at a threshold keeps its features.

    Source: SeeNet, section 3.2.

    Args:
        attention: Attention, shape (B, 1, h, w), in [0, 1].
        high: Above it a cell is object.
        low: Below it a cell is background; 0 makes none.

    Returns:
        Factors 0, 1 and -1, shape (B, 1, h, w).

    Raises:
        ValueError: If the thresholds are not ordered within [0, 1].

    Example:
        >>> attention = torch.tensor([0.0, 0.05, 0.7, 0.8]).view(1, 1, 1, 4)
        >>> ternary_mask(attention, high=0.7, low=0.05).flatten().tolist()
        [-1.0, 1.0, 1.0, 0.0]
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(
            f'thresholds must be ordered, 0 <= low <= high <= 1, got low {low} and '
            f'high {high}'
        )
    ones = torch.ones_like(attention)
    return ones.masked_fill(attention > high, 0.0).masked_fill(attention < low, -1.0)


def c_relu(features: Tensor, attention: Tensor, *, high: float, low: float) -> Tensor:
    """Erase the features of the object and reverse those of the background.

    The gradient follows the same rule: erased cells pass nothing in any channel,
    reversed cells pass it with the opposite sign. None reaches the attention.

    Source: SeeNet, conditionally reversed linear units (C-ReLU).

    Args:
        features: Features, shape (B, D, h, w).
        attention: Attention, shape (B, 1, h, w), from `attention_mask`.
        high: Attention above it is erased.
        low: Attention below it is reversed.

    Returns:
        Features, shape (B, D, h, w).

    Raises:
        ValueError: If the shapes do not fit, or the thresholds are not ordered.

    Note:
        The backward pass of the released layer clears only the first channel at
        erased cells of the first image; this one follows the definition.

    Example:
        >>> attention = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
        >>> features = torch.full((1, 1, 1, 3), 2.0)
        >>> c_relu(features, attention, high=0.7, low=0.05).flatten().tolist()
        [-2.0, 2.0, 0.0]
    """
    _check_attention(features, attention)
    return features * ternary_mask(attention.detach(), high=high, low=low)


def background_zone(features: Tensor, attention: Tensor, *, threshold: float) -> Tensor:
    """Keep the features of the background and erase the rest.

    SeeNet's third branch learns that nothing is in what remains. No gradient
    reaches the attention.

    Source: SeeNet, section 3.3, with the mean of the two thresholds of C-ReLU.

    Args:
        features: Features, shape (B, D, h, w).
        attention: Attention, shape (B, 1, h, w), from `attention_mask`.
        threshold: Attention below it is background.

    Returns:
        Features, shape (B, D, h, w).

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> attention = torch.tensor([0.0, 0.375, 1.0]).view(1, 1, 1, 3)
        >>> features = torch.full((1, 1, 1, 3), 2.0)
        >>> background_zone(features, attention, threshold=0.375).flatten().tolist()
        [2.0, 0.0, 0.0]
    """
    _check_attention(features, attention)
    return features * (attention.detach() < threshold).to(features)


def fuse_attention(maps: Sequence[Tensor]) -> Tensor:
    """Take each class where any branch attends to it.

    Every map is clipped at zero and divided by its own maximum first.

    Source: SeeNet, the fusion of the released notebook.

    Args:
        maps: One stack of class maps per branch, each of shape (..., H, W).

    Returns:
        Fused maps in [0, 1], shape (..., H, W).

    Raises:
        ValueError: If there is no stack, the shapes differ or there is no pixel.

    Example:
        >>> one, two = torch.tensor([[[4.0, 0.0, 1.0]], [[-1.0, 2.0, 1.0]]])
        >>> fuse_attention([one, two])
        tensor([[1.0000, 1.0000, 0.5000]])
    """
    scaled = []
    for positive in map(F.relu, maps):
        if positive.ndim < 2 or 0 in positive.shape[-2:]:
            raise ValueError(
                f'maps need the shape (..., H, W) with at least one pixel, got '
                f'{tuple(positive.shape)}'
            )
        scaled.append(positive / (positive.amax(dim=(-2, -1), keepdim=True) + EPS))
    return max_views(scaled)


def max_views(cams: Sequence[Tensor]) -> Tensor:
    """Take the maximum of the maps of one image over its views.

    Source: SeeNet, the released notebook, which fuses an image with its mirror.

    Args:
        cams: One map stack per view, each of shape (C, H, W): resized to the
            image, masked by its tags and flipped back.

    Returns:
        The maximum, shape (C, H, W).

    Raises:
        ValueError: If there is no view or the shapes differ.

    Example:
        >>> max_views([torch.zeros(1, 1, 2), torch.ones(1, 1, 2)])
        tensor([[[1., 1.]]])
    """
    check_views(cams)
    return torch.stack(list(cams)).amax(dim=0)


def _check_attention(features: Tensor, attention: Tensor) -> None:
    expected = (features.shape[0], 1, *features.shape[2:])
    if features.ndim != 4 or attention.shape != expected:
        raise ValueError(
            'features must have the shape (B, D, h, w) and attention (B, 1, h, w), '
            f'got {tuple(features.shape)} and {tuple(attention.shape)}'
        )
