"""Attention affinity: spread a CAM along the attention of a vision transformer.

References:
    Lin et al., "CLIP is Also an Efficient Segmenter: A Text-Driven Approach for Weakly
    Supervised Semantic Segmentation" (CLIP-ES), CVPR 2023, section 3.4, and its
    released code, https://github.com/linyq2117/CLIP-ES.
    Zhang et al., "Frozen CLIP: A Strong Backbone for Weakly Supervised Semantic
    Segmentation" (WeCLIP), CVPR 2024, section 3.4, and its released code,
    https://github.com/zbf1991/WeCLIP.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .normalisation import check_maps


def patch_attention(
    attention: Sequence[Tensor], *, layers: int, class_tokens: int = 1
) -> Tensor:
    """Gather how much the patches attend to each other in the last layers.

    Args:
        attention: Of every layer, first to last, each of shape (B, heads, M, M) with
            M = class_tokens + N; rows sum to one.
        layers: How many of the last layers.
        class_tokens: Tokens that precede the patches, whose rows and columns are cut.

    Returns:
        Means over the heads, shape (B, layers, N, N); rows sum to at most one.

    Raises:
        ValueError: If there are fewer layers, or a map is not square or too small.
    """
    check_layers(attention, layers, class_tokens)
    cut = slice(class_tokens, None)
    last = attention[len(attention) - layers :]
    return torch.stack([one[..., cut, cut].mean(dim=1) for one in last], dim=1)


def check_layers(attention: Sequence[Tensor], layers: int, class_tokens: int) -> None:
    """Check that there are so many layers, of maps (B, heads, M, M)."""
    if not 1 <= layers <= len(attention):
        raise ValueError(f'layers must be in 1..{len(attention)}, got {layers}')
    for one in attention:
        square = one.ndim == 4 and one.shape[2] == one.shape[3]
        if not square or not 0 <= class_tokens < one.shape[2]:
            raise ValueError(
                'attention must have the shape (B, heads, M, M) with M > '
                f'{class_tokens} class tokens, got {tuple(one.shape)}'
            )


def sinkhorn(attention: Tensor, *, rounds: int = 3) -> Tensor:
    """Divide by the sums of the columns and then of the rows, again and again.

    Args:
        attention: Positive, shape (..., N, N).
        rounds: How often; CLIP-ES and WeCLIP use 3.

    Returns:
        A matrix whose rows sum to one and whose columns nearly do, (..., N, N); half
        precision is computed in float32.

    Raises:
        ValueError: If the matrices are not square or floating point, or `rounds` is
            not positive.

    Example:
        >>> attention = torch.tensor([[0.5, 0.1], [0.2, 0.4]])
        >>> sinkhorn(attention, rounds=20).round(decimals=4)
        tensor([[0.7597, 0.2403],
                [0.2403, 0.7597]])
    """
    _check_square('attention', attention)
    if rounds < 1:
        raise ValueError(f'rounds must be positive, got {rounds}')
    if attention.dtype in (torch.float16, torch.bfloat16):
        attention = attention.float()
    for _ in range(rounds):
        attention = attention / attention.sum(dim=-2, keepdim=True)
        attention = attention / attention.sum(dim=-1, keepdim=True)
    return attention


def attention_affinity(attention: Tensor, *, rounds: int = 3) -> Tensor:
    """Make a symmetric affinity of attention.

    CLIP-ES and WeCLIP apply it twice; their released codes square it first, see
    `attention_transition`.

    Args:
        attention: Of patches to patches, shape (..., N, N), such as the mean of the
            layers of `patch_attention`.
        rounds: See `sinkhorn`.

    Returns:
        Affinities, shape (..., N, N); rows and columns nearly sum to one.
    """
    balanced = sinkhorn(attention, rounds=rounds)
    return (balanced + balanced.mT) / 2


def attention_transition(attention: Tensor, *, rounds: int = 3) -> Tensor:
    """Square the affinity of attention, shape (..., N, N).

    Args:
        attention: See `attention_affinity`.
        rounds: See `sinkhorn`.
    """
    affinity = attention_affinity(attention, rounds=rounds)
    return affinity @ affinity


def select_attention(attention: Tensor, affinity: Tensor) -> Tensor:
    """Average the layers that agree with a learnt affinity, weighed by it.

    This is WeCLIP's refinement module (RFM): a layer is kept if the sum of
    ``affinity - attention`` over all pairs is at most the mean of these sums.

    Args:
        attention: Of layers, patches to patches, shape (B, L, N, N).
        affinity: How likely two cells are of one class, in [0, 1], shape (B, N, N).

    Returns:
        Attention, shape (B, N, N).

    Raises:
        ValueError: If the shapes do not fit.

    Note:
        As the sums are signed, the affinity adds the same to each, and the layers are
        chosen by their attention to patches alone: the affinity has a say in the
        weighing only. Kept as released.
    """
    kept = kept_layers(attention, affinity).to(attention.dtype)
    total = torch.einsum('bl,blij->bij', kept, attention)
    return total / (kept.sum(dim=1)[:, None, None] + 1e-5) * affinity


def kept_layers(attention: Tensor, affinity: Tensor) -> Tensor:
    """Mark the layers that `select_attention` keeps, bool, shape (B, L).

    Args:
        attention: See `select_attention`.
        affinity: See `select_attention`.
    """
    fits = attention.ndim == 4 and affinity.ndim == 3
    if not fits or attention.shape[:1] + attention.shape[2:] != affinity.shape:
        raise ValueError(
            'attention must have the shape (B, L, N, N) and affinity (B, N, N), got '
            f'{tuple(attention.shape)} and {tuple(affinity.shape)}'
        )
    _check_square('attention', attention)
    # In float64, since the sums of two layers differ in their last digits.
    sums = attention.sum(dim=(2, 3), dtype=torch.float64)
    difference = affinity.sum(dim=(1, 2), dtype=torch.float64)[:, None] - sums
    mean, least = difference.mean(dim=1), difference.amin(dim=1)
    # The least is never above the mean, but for its rounding.
    return difference <= torch.maximum(mean, least)[:, None]


def box_mask(cam: Tensor, *, threshold: float, full_boxes: bool = False) -> Tensor:
    """Cover what is strong in a map by boxes.

    Each set of cells above the threshold that touch, also at corners, has a bounding
    box; the mask is the union of them. Maps are compared in steps of 1/255.

    Args:
        cam: Normalised maps, in [0, 1], shape (n, h, w).
        threshold: Share of a map's maximum that a cell must exceed: 0.4 on VOC, 0.7 on
            COCO.
        full_boxes: Whether boxes may reach the last row and column of the map.

    Returns:
        Masks, bool, shape (n, h, w).

    Raises:
        ValueError: If the shape does not fit, or a number is out of range.

    Note:
        The released codes cut their boxes off before the last row and column, so that
        a map strong there alone has an empty mask. That is the default, as figures
        were published with it; `full_boxes` covers them.

    Example:
        >>> cam = torch.tensor([[[0.0, 0.9, 0.0, 0.0], [0.8, 0.0, 0.0, 0.0],
        ...                      [0.0, 0.0, 0.0, 1.0]]])
        >>> box_mask(cam, threshold=0.4).int()
        tensor([[[1, 1, 0, 0],
                 [1, 1, 0, 0],
                 [0, 0, 0, 0]]], dtype=torch.int32)
    """
    check_maps('cam', cam, ndim=3)
    if not 0 <= threshold < 1:
        raise ValueError(f'threshold must be in [0, 1), got {threshold}')
    maps = cam.detach().cpu().numpy().astype(np.float32, copy=False)
    if not (maps.min() >= 0 and maps.max() <= 1):
        raise ValueError('cam must be in [0, 1]: normalise it first')
    mask = np.zeros(maps.shape, bool)
    for levels, covered in zip((maps * np.float32(255)).astype(np.uint8), mask):
        for box in _boxes(levels > int(threshold * int(levels.max()))):
            covered[box] = True
    if not full_boxes:
        mask[:, -1] = mask[:, :, -1] = False
    return torch.from_numpy(mask).to(cam.device)


def refine_cam(cam: Tensor, transition: Tensor, mask: Tensor | None = None) -> Tensor:
    """Give every cell what the cells it attends to have.

    Args:
        cam: Normalised maps, shape (n, h, w).
        transition: Of the cells, what j gives to i at [i, j], shape (N, N) with
            N = h w.
        mask: Where maps may spread from, shape (n, h, w); everywhere if None.

    Returns:
        Maps, shape (n, h, w).

    Raises:
        ValueError: If the shapes do not fit.
    """
    cells = cam.shape[-2] * cam.shape[-1] if cam.ndim == 3 else -1
    if tuple(transition.shape) != (cells, cells):
        raise ValueError(
            'cam must have the shape (n, h, w) and transition (h w, h w), got '
            f'{tuple(cam.shape)} and {tuple(transition.shape)}'
        )
    if mask is not None and mask.shape != cam.shape:
        raise ValueError(
            f'mask {tuple(mask.shape)} must have the shape of cam, {tuple(cam.shape)}'
        )
    sources = cam if mask is None else cam * mask
    return (sources.flatten(1) @ transition.mT).view_as(cam)


def _boxes(above: npt.NDArray[np.bool_]) -> list[tuple[slice, ...]]:
    """Find the bounding boxes of the sets of cells that touch."""
    from scipy import ndimage

    labels, _ = ndimage.label(above, structure=np.ones((3, 3)))
    boxes: list[tuple[slice, ...]] = ndimage.find_objects(labels)
    return boxes


def _check_square(name: str, matrix: Tensor) -> None:
    """Refuse what is not a stack of square matrices of numbers."""
    square = matrix.ndim >= 2 and matrix.shape[-1] == matrix.shape[-2]
    if not square or not matrix.numel() or not matrix.is_floating_point():
        raise ValueError(
            f'{name} must be floating point of shape (..., N, N), got {matrix.dtype} '
            f'{tuple(matrix.shape)}'
        )
