"""Softmax Grad-CAM: which cells of an image speak for a class, by gradients.

The class is the softmax over the words of the classes that an image shows and of what
may lie behind them; a cell counts as far as its features raise that probability.

References:
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", ICCV 2017.
    Lin et al., "CLIP is Also an Efficient Segmenter" (CLIP-ES), CVPR 2023,
    arXiv:2212.09506, and its released code; spec_clip, section 2.1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .normalisation import extremes

# CLIP-ES's, in every division of a map.
EPS = 1e-7


def word_probabilities(
    features: Tensor, words: Tensor, *, scale: float = 100.0
) -> Tensor:
    """Compare features with words and let the words compete.

    Args:
        features: Image features of any length, shape (..., E).
        words: Unit vectors of the words, shape (K, E).
        scale: Factor of the cosines; CLIP's is 100.

    Returns:
        Probabilities, softmax over the words, shape (..., K).

    Raises:
        ValueError: If the widths differ.

    Example:
        >>> words = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> word_probabilities(torch.tensor([3.0, 3.0]), words)
        tensor([0.5000, 0.5000])
    """
    if words.ndim != 2 or features.shape[-1:] != words.shape[-1:]:
        raise ValueError(
            f'features (..., E) and words (K, E) must share E, got '
            f'{tuple(features.shape)} and {tuple(words.shape)}'
        )
    return (scale * F.normalize(features, dim=-1) @ words.T).softmax(dim=-1)


def channel_weights(gradients: Tensor) -> Tensor:
    """Average gradients over the cells: how much a channel speaks for a class.

    Args:
        gradients: Of a class's score with respect to activations, (..., D, h, w).

    Returns:
        One weight a channel, shape (..., D).

    Raises:
        ValueError: If there are fewer than three dimensions, or no cells.

    Example:
        >>> channel_weights(torch.tensor([[[1.0, 3.0]], [[0.0, -2.0]]]))
        tensor([ 2., -1.])
    """
    if gradients.ndim < 3 or 0 in gradients.shape[-2:]:
        raise ValueError(
            f'gradients must have the shape (..., D, h, w) with at least one cell, got '
            f'{tuple(gradients.shape)}'
        )
    return gradients.mean(dim=(-2, -1))


def grad_cam(activations: Tensor, weights: Tensor) -> Tensor:
    """Add up the channels of an activation, each by its weight for a class.

    Args:
        activations: Of one image, shape (D, h, w).
        weights: One weight a channel for each of n classes, shape (n, D); see
            `channel_weights`.

    Returns:
        Raw maps before any rectification, shape (n, h, w).

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> activations = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]]])
        >>> grad_cam(activations, torch.tensor([[2.0, -1.0]]))
        tensor([[[-1.,  4.]]])
    """
    if activations.ndim != 3 or weights.shape[1:] != activations.shape[:1]:
        raise ValueError(
            'activations (D, h, w) and weights (n, D) must share D, got '
            f'{tuple(activations.shape)} and {tuple(weights.shape)}'
        )
    return torch.einsum('nd,dhw->nhw', weights, activations)


def stretch(maps: Tensor, eps: float = EPS) -> Tensor:
    """Stretch each map to [0, 1): minus its minimum, by its maximum.

    Args:
        maps: Shape (..., h, w).
        eps: Added to every divisor; a constant map becomes zero.

    Returns:
        The stretched maps, of the same shape.

    Raises:
        ValueError: If there are no cells.

    Example:
        >>> stretch(torch.tensor([[[1.0, 3.0, 5.0]]])).round(decimals=3)
        tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    if maps.ndim < 2 or 0 in maps.shape[-2:]:
        raise ValueError(
            f'maps must have the shape (..., h, w) with at least one cell, got '
            f'{tuple(maps.shape)}'
        )
    high, low = extremes(maps)
    return (maps - low) / (high - low + eps)
