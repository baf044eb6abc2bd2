"""Pixel-adaptive mask refinement: average scores over neighbours of like colour.

Reference:
    Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels",
    CVPR 2020, arXiv:2005.08104, section 3.3, and its released code,
    https://github.com/visinf/1-stage-wseg.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

DILATIONS = (1, 2, 4, 8, 12, 24)
NEIGHBOURS = tuple(
    (dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
)


def pamr(
    image: Tensor,
    scores: Tensor,
    *,
    dilations: Sequence[int] = DILATIONS,
    iterations: int = 10,
) -> Tensor:
    """Replace scores by a mean over neighbours, again and again.

    The weights are `local_affinity`; beyond the border the image and the scores
    repeat their last pixel. Gradients flow to the scores and to the image.

    Args:
        image: Colours in any unit, shape (B, 3, H, W).
        scores: Scores of the labels, shape (B, K, H, W).
        dilations: Distances of the eight neighbours of a pixel.
        iterations: How often the mean is taken.

    Returns:
        Refined scores, shape (B, K, H, W), between the extremes of the old ones.

    Raises:
        ValueError: If shapes do not fit or a number is out of range.

    Note:
        The released code resizes scores to the image first; here they must have its
        size. The neighbours are never copied, so memory is that of the weights:
        8 numbers for each pixel and dilation.

    Example:
        >>> image = torch.tensor([0.0, 0.0, 1.0]).expand(1, 3, 1, 3)
        >>> scores = torch.tensor([[[[1.0, 0.0, 0.0]]]])
        >>> pamr(image, scores, dilations=(1,), iterations=1).round(decimals=2)
        tensor([[[[0.6200, 0.6000, 0.0000]]]])
    """
    check_scores(image, scores, dilations, iterations)
    weights = local_affinity(image, dilations=dilations)
    for _ in range(iterations):
        total = torch.zeros_like(scores)
        for index, view in enumerate(neighbours(scores, dilations)):
            total = total + weights[:, index : index + 1] * view
        scores = total
    return scores


def local_affinity(image: Tensor, *, dilations: Sequence[int] = DILATIONS) -> Tensor:
    """Weigh the neighbours of every pixel by how much they resemble it.

    A softmax over all neighbours of ``-mean_c |I(i) - I(j)| / (0.1 s_c(i))``, with
    s_c the standard deviation of a channel over the neighbours, and the pixel itself
    once for each dilation.

    Args:
        image: Colours in any unit, shape (B, 3, H, W).
        dilations: Distances d; the neighbours lie at d times (-1, -1), (-1, 0), ...

    Returns:
        Weights, shape (B, 8 * len(dilations), H, W), dilation by dilation; they sum to
        one over the neighbours.
    """
    total = image * len(dilations)
    for view in neighbours(image, dilations):
        total = total + view
    count = 9 * len(dilations)
    mean = total / count
    square = (image - mean).square() * len(dilations)
    for view in neighbours(image, dilations):
        square = square + (view - mean).square()
    deviation = 1e-8 + 0.1 * (square / (count - 1)).sqrt()
    distances = [
        ((image - view).abs() / deviation).mean(dim=1)
        for view in neighbours(image, dilations)
    ]
    return torch.softmax(-torch.stack(distances, dim=1), dim=1)


def neighbours(maps: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Give a map moved by every neighbour, its border repeated.

    Args:
        maps: Shape (B, *, H, W).
        dilations: Distances of the eight neighbours of a pixel.

    Yields:
        Views of one padded copy, shape (B, *, H, W), dilation by dilation in the order
        of `NEIGHBOURS`.
    """
    height, width = maps.shape[-2:]
    reach = max(dilations)
    padded = F.pad(maps, (reach,) * 4, mode='replicate')
    for dilation in dilations:
        for dy, dx in NEIGHBOURS:
            top, left = reach + dy * dilation, reach + dx * dilation
            yield padded[..., top : top + height, left : left + width]


def check_scores(
    image: Tensor, scores: Tensor, dilations: Sequence[int], iterations: int
) -> None:
    """Refuse images and scores that do not belong together."""
    if image.ndim != 4 or scores.ndim != 4 or not image.numel() or not scores.numel():
        raise ValueError(
            'image must have the shape (B, 3, H, W) and scores (B, K, H, W), got '
            f'{tuple(image.shape)} and {tuple(scores.shape)}'
        )
    same = len(image) == len(scores) and image.shape[2:] == scores.shape[2:]
    if not same or image.device != scores.device:
        raise ValueError(
            f'image {tuple(image.shape)} on {image.device} and scores '
            f'{tuple(scores.shape)} on {scores.device} must agree in batch, size and '
            'device'
        )
    if not (image.is_floating_point() and scores.is_floating_point()):
        raise ValueError(
            f'image and scores must be floating point, got {image.dtype} and '
            f'{scores.dtype}'
        )
    if not dilations or min(dilations) < 1 or iterations < 0:
        raise ValueError(
            'dilations must be positive and iterations not negative, got '
            f'{list(dilations)} and {iterations}'
        )
