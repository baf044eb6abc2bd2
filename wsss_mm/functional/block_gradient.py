"""Gradients through a block of a vision transformer, for several scores at once.

Grad-CAM asks for one number a channel: the mean of a gradient over the patches. Written
out, what the scores share is computed once, and the gradients of weights not at all.

Reference:
    The block is that of Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021,
    norms first; what is computed is the backward pass of CLIP-ES (CVPR 2023).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class SelfAttention(NamedTuple):
    """What self-attention computes of N tokens, by heads of d channels.

    Attributes:
        query: Shape (heads, N, d).
        key: Shape (heads, N, d).
        value: Shape (heads, N, d).
        weights: Rows sum to 1, shape (heads, N, N).
        outputs: Values by weights, shape (heads, N, d).
    """

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor
    outputs: Tensor


def self_attention(
    inputs: Tensor, *, heads: int, in_proj_weight: Tensor, in_proj_bias: Tensor
) -> SelfAttention:
    """Attend, up to the projection of the output.

    Args:
        inputs: Shape (N, D).
        heads: How many; they share the D channels.
        in_proj_weight: Rows [query; key; value], shape (3 D, D), as of
            ``torch.nn.MultiheadAttention``.
        in_proj_bias: Shape (3 D,).

    Raises:
        ValueError: If the shapes do not fit.
    """
    width = inputs.shape[-1]
    fits = inputs.ndim == 2 and in_proj_weight.shape == (3 * width, width)
    if not fits or heads < 1 or width % heads:
        raise ValueError(
            f'inputs (N, D), in_proj_weight (3 D, D) and {heads} heads of D / heads '
            f'channels do not fit: {tuple(inputs.shape)}, {tuple(in_proj_weight.shape)}'
        )
    projected = F.linear(inputs, in_proj_weight, in_proj_bias)
    query, key, value = (split_heads(part, heads) for part in projected.chunk(3, -1))
    weights = ((query * (width // heads) ** -0.5) @ key.mT).softmax(dim=-1)
    return SelfAttention(query, key, value, weights, weights @ value)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """Give every head its channels, (..., N, D) to (..., heads, N, d)."""
    shape = (*tokens.shape[:-1], heads, tokens.shape[-1] // heads)
    return tokens.reshape(shape).transpose(-3, -2)


def attention_weights_gradient(
    gradients: Tensor,
    attended: SelfAttention,
    *,
    in_proj_weight: Tensor,
    out_proj_weight: Tensor,
) -> Tensor:
    """Take gradients back through self-attention, averaged over the patches.

    Grad-CAM needs no more than this mean, and the mean needs none of the gradients of
    single tokens: the sums over queries and keys move inside, and what is left is one
    product with the attention.

    Args:
        gradients: Of n scores with respect to the projected output of self-attention,
            class token first, shape (n, N, D).
        attended: What it computed.
        in_proj_weight: Rows [query; key; value], shape (3 D, D), as of
            ``torch.nn.MultiheadAttention``.
        out_proj_weight: Shape (D, D).

    Returns:
        Mean over the patch tokens, without the class token, of the gradients with
        respect to the inputs, shape (n, D).

    Raises:
        ValueError: If the shapes do not fit, or there is no patch.

    Note:
        With P the attention, O the heads' output and G its gradient, the gradient of
        the logits is P (G V' - r), r = sum(G O), so that its sums over rows and columns
        need P' G and P' r alone.
    """
    query, key, value, attention, outputs = attended
    heads, tokens, width = query.shape
    if gradients.shape[1:] != (tokens, heads * width) or tokens < 2:
        raise ValueError(
            f'gradients must have the shape (n, N, D) with N = {tokens} > 1 and D = '
            f'{heads * width} as the attention has, got {tuple(gradients.shape)}'
        )
    outer = split_heads(gradients @ out_proj_weight, heads)  # (n, heads, N, d)
    row = (outer * outputs).sum(dim=-1, keepdim=True)
    # The class token's query is not a patch: it has no part in the sums over queries.
    # All scores side by side, for one product a head: nothing is copied n times.
    patches = torch.cat([outer, row], dim=-1)[..., 1:, :].permute(1, 2, 0, 3)
    back = attention[:, 1:].mT @ patches.flatten(2)
    back = back.view(heads, tokens, len(gradients), width + 1).permute(2, 0, 1, 3)
    by_key = (back[..., :-1] * value).sum(dim=-1) - back[..., -1]
    of_query = (by_key.unsqueeze(-1) * key).sum(dim=-2)
    # Rows of the logits' gradient sum to zero: the patches' part is minus the rest.
    first = attention[..., :1]
    by_query = -first * ((outer * value[:, :1]).sum(dim=-1, keepdim=True) - row)
    of_key = (by_query * query).sum(dim=-2)
    of_value = ((1 - first) * outer).sum(dim=-2)
    scale = width**-0.5
    parts = (of_query * scale, of_key * scale, of_value)
    total = torch.cat([part.flatten(-2) for part in parts], dim=-1) @ in_proj_weight
    return total / (tokens - 1)


def feed_forward_gradient(
    gradients: Tensor,
    inputs: Tensor,
    outputs: Tensor,
    slope: Tensor,
    *,
    weights: tuple[Tensor, Tensor],
    norms: tuple[Tensor, Tensor],
    eps: float = 1e-5,
) -> Tensor:
    """Take gradients of the mean patch back through the second half of a block.

    That half is ``outputs = inputs + second(act(first(norm(inputs))))``; behind it
    stand a norm and the mean over the patches, which give each the same gradient.

    Args:
        gradients: Of n scores with respect to that mean, shape (n, D).
        inputs: Tokens, class token first, shape (N, D).
        outputs: The same behind the half block, shape (N, D).
        slope: Derivative of the activation at the hidden layer, shape (N, M).
        weights: Of the linear layers, shapes (M, D) and (D, M).
        norms: Scales of the norm inside and of that behind, each of shape (D,).
        eps: Of both norms.

    Returns:
        Gradients with respect to `inputs`, shape (n, N, D).

    Raises:
        ValueError: If the shapes do not fit, or there is no patch.

    Note:
        A patch's gradient behind the norm is a common vector minus a multiple of the
        patch, both divided by its deviation. The products with the second layer's
        weights are therefore those of n vectors and one set of patches, not of n sets.
    """
    first, second = weights
    tokens, width = inputs.shape
    fits = gradients.shape[1:] == (width,) and outputs.shape == inputs.shape
    if not fits or tokens < 2 or slope.shape != (tokens, len(first)):
        raise ValueError(
            'gradients (n, D), inputs and outputs (N, D) and slope (N, M), N > 1, do '
            f'not fit: {tuple(gradients.shape)}, {tuple(inputs.shape)}, '
            f'{tuple(outputs.shape)}, {tuple(slope.shape)}'
        )
    common = gradients * norms[1] / (tokens - 1)
    patches, scale = standardised(outputs, eps)
    scale = scale.clone()
    scale[0] = 0  # the class token is not in the mean
    share = scale * ((patches @ common.T).T / width).unsqueeze(-1)  # (n, N, 1)
    common = (common - common.mean(dim=-1, keepdim=True)).unsqueeze(1)
    behind = scale * common - share * patches
    # Products of the hidden layer's size are made once where the scores share them.
    hidden = (slope * scale) * (common @ second)
    hidden = hidden.addcmul(share, slope * (patches @ second), value=-1)
    inside = hidden @ (first * norms[0])
    patches, scale = standardised(inputs, eps)
    along = (inside * patches).mean(dim=-1, keepdim=True)
    inside = inside - inside.mean(dim=-1, keepdim=True) - along * patches
    return behind + scale * inside


def standardised(tokens: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Bring tokens, (..., D), to mean 0 and deviation 1; give 1 / deviation, too."""
    centred = tokens - tokens.mean(dim=-1, keepdim=True)
    scale = (centred.square().mean(dim=-1, keepdim=True) + eps).rsqrt()
    return centred * scale, scale
