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


def attention_weights_gradient(
    gradients: Tensor,
    inputs: Tensor,
    attention: Tensor,
    *,
    in_proj_weight: Tensor,
    in_proj_bias: Tensor,
    out_proj_weight: Tensor,
) -> Tensor:
    """Take gradients back through self-attention, averaged over the patches.

    Grad-CAM needs no more than this mean, and the mean needs none of the gradients of
    single tokens: the sums over queries and keys move inside, and what is left is one
    product with the attention.

    Args:
        gradients: Of n scores with respect to the output of self-attention, class
            token first, shape (n, N, D).
        inputs: What went into it, shape (N, D).
        attention: Its weights, shape (heads, N, N); rows sum to 1.
        in_proj_weight: Rows [query; key; value], shape (3 D, D), as of
            ``torch.nn.MultiheadAttention``.
        in_proj_bias: Shape (3 D,).
        out_proj_weight: Shape (D, D).

    Returns:
        Mean over the patch tokens, without the class token, of the gradients with
        respect to `inputs`, shape (n, D).

    Raises:
        ValueError: If the shapes do not fit, or there is no patch.

    Note:
        With P the attention, O the heads' output and G its gradient, the gradient of
        the logits is P (G V' - r), r = sum(G O), so that its sums over rows and columns
        need P' G and P' r alone.
    """
    heads, tokens, width = check_attention(gradients, inputs, attention)

    def split(projected: Tensor) -> Tensor:
        shape = (*projected.shape[:-1], heads, width // heads)
        return projected.view(shape).transpose(-3, -2)

    weights = in_proj_weight.chunk(3)
    biases = in_proj_bias.chunk(3)
    query, key, value = (split(F.linear(inputs, w, b)) for w, b in zip(weights, biases))
    outer = split(gradients @ out_proj_weight)  # (n, heads, N, d)
    row = (outer * (attention @ value)).sum(dim=-1, keepdim=True)
    # The class token's query is not a patch: it has no part in the sums over queries.
    patches = torch.cat([outer, row], dim=-1)[..., 1:, :]
    back = attention[:, 1:].transpose(1, 2) @ patches
    by_key = (back[..., :-1] * value).sum(dim=-1) - back[..., -1]
    of_query = (by_key.unsqueeze(-1) * key).sum(dim=-2)
    # Rows of the logits' gradient sum to zero: the patches' part is minus the rest.
    first = attention[..., :1]
    by_query = -first * ((outer * value[:, :1]).sum(dim=-1, keepdim=True) - row)
    of_key = (by_query * query).sum(dim=-2)
    of_value = ((1 - first) * outer).sum(dim=-2)
    scale = (width // heads) ** -0.5
    parts = (of_query * scale, of_key * scale, of_value)
    total = torch.cat([part.flatten(-2) for part in parts], dim=-1) @ in_proj_weight
    return total / (tokens - 1)


def check_attention(
    gradients: Tensor, inputs: Tensor, attention: Tensor
) -> tuple[int, int, int]:
    """Check shapes (n, N, D), (N, D), (heads, N, N); give heads, N and D."""
    fits = gradients.ndim == 3 and attention.ndim == 3 and inputs.ndim == 2
    if fits:
        heads, tokens, width = len(attention), *inputs.shape
        fits = (
            gradients.shape[1:] == inputs.shape
            and attention.shape[1:] == (tokens, tokens)
            and tokens > 1
            and width % heads == 0
        )
    if not fits:
        raise ValueError(
            'gradients (n, N, D), inputs (N, D) and attention (heads, N, N), N > 1, do '
            f'not fit: {tuple(gradients.shape)}, {tuple(inputs.shape)}, '
            f'{tuple(attention.shape)}'
        )
    return heads, tokens, width
