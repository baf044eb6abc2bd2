"""Pixel-adaptive refinement (PAR): average scores over near neighbours of like colour.

Not PAMR, from which it comes: differences are squared, distance counts too, and a pixel
is not its own neighbour.

References:
    Ru et al., "Learning Affinity from Attention: End-to-End Weakly-Supervised Semantic
    Segmentation with Transformers" (AFA), CVPR 2022, section 3.4; as in its released
    code and WeCLIP's, https://github.com/zbf1991/WeCLIP.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .pamr import DILATIONS, NEIGHBOURS, check_scores, neighbours

COLOUR_SCALE = 0.3
POSITION_SCALE = 0.3
POSITION_WEIGHT = 0.01


def par(
    image: Tensor,
    scores: Tensor,
    *,
    dilations: Sequence[int] = DILATIONS,
    iterations: int = 10,
) -> Tensor:
    """Replace scores by a weighted sum over neighbours, again and again.

    The weights are `par_weights`; beyond the border the image and the scores repeat
    their last pixel. Gradients flow to the scores and to the image.

    Args:
        image: Colours in any unit, shape (B, 3, H, W).
        scores: Scores of the labels, shape (B, K, H, W).
        dilations: Distances of the eight neighbours of a pixel.
        iterations: How often the sum is taken: 10 in AFA, 20 in WeCLIP.

    Returns:
        Refined scores, shape (B, K, H, W), 1.01 times as large with each iteration,
        which changes no argmax.

    Raises:
        ValueError: If shapes do not fit or a number is out of range.

    Note:
        The released code resizes the image to the scores first; here they must agree.
        Neighbours are never copied: memory is that of the weights, 8 numbers for each
        pixel and dilation, two more times while these are made.

    Example:
        >>> image = torch.tensor([0.0, 0.0, 1.0]).expand(1, 3, 1, 3)
        >>> scores = torch.tensor([[[[1.0, 0.0, 0.0]]]])
        >>> par(image, scores, dilations=(1,), iterations=1).round(decimals=2)
        tensor([[[[0.6300, 0.6000, 0.0000]]]])
    """
    check_scores(image, scores, dilations, iterations)
    weights = par_weights(image, dilations=dilations)
    for _ in range(iterations):
        total = torch.zeros_like(scores)
        for index, view in enumerate(neighbours(scores, dilations)):
            total = torch.addcmul(total, weights[:, index : index + 1], view)
        scores = total
    return scores


def par_weights(image: Tensor, *, dilations: Sequence[int] = DILATIONS) -> Tensor:
    """Weigh the neighbours of every pixel by their colour and their distance.

    A softmax over the neighbours of ``-mean_c (|I(i) - I(j)| / (0.3 s_c(i)))^2``, with
    s_c the standard deviation of a channel over them, and 0.01 times the softmax of
    ``-(d(i, j) / (0.3 s))^2``, with s that of the distances.

    Args:
        image: Colours in any unit, shape (B, 3, H, W).
        dilations: Distances d; the neighbours lie at d times (-1, -1), (-1, 0), ...

    Returns:
        Weights, shape (B, 8 * len(dilations), H, W), dilation by dilation; they sum to
        1.01 over the neighbours.
    """
    count = len(NEIGHBOURS) * len(dilations)
    total = torch.zeros_like(image)
    for view in neighbours(image, dilations):
        total = total + view
    mean = total / count
    square = torch.zeros_like(image)
    for view in neighbours(image, dilations):
        square = square + (view - mean).square()
    scale = COLOUR_SCALE * ((square / (count - 1)).sqrt() + 1e-8)
    closeness = torch.stack(
        [
            -((image - view) / scale).square().mean(dim=1)
            for view in neighbours(image, dilations)
        ],
        dim=1,
    )
    near = _position_weights(dilations, image)
    return torch.softmax(closeness, dim=1) + POSITION_WEIGHT * near[:, None, None]


def _position_weights(dilations: Sequence[int], like: Tensor) -> Tensor:
    """Weigh neighbours by their distance alone, shape (8 * len(dilations),)."""
    distances = torch.tensor(
        [
            dilation * math.hypot(*offset)
            for dilation in dilations
            for offset in NEIGHBOURS
        ],
        dtype=like.dtype,
        device=like.device,
    )
    scale = POSITION_SCALE * (distances.std() + 1e-8)
    return torch.softmax(-(distances / scale).square(), dim=0)
