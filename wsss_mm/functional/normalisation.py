"""The four normalisations of CAMs, by what they divide by and where they are used.

| | between minimum and maximum | by the maximum |
|---|---|---|
| training, (B, C, H, W), with gradient | `training_min_max_norm` (SEAM) | \
`training_max_norm` (Puzzle-CAM) |
| inference, (C, H, W), summed views | `inference_min_max_norm` (SEAM) | \
`inference_max_norm` (PSA) |

`max_norm`, `peak_norm`, `normalize_min_max` and `normalize_max` are their names of old,
in the order of reading, and stay importable.

References:
    Wang et al., SEAM, CVPR 2020; Ahn and Kwak, PSA, CVPR 2018; Jo and Yu, Puzzle-CAM,
    ICIP 2021; their released codes.
"""

import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5


def training_min_max_norm(cam: Tensor, eps: float = EPS) -> Tensor:
    """Stretch the positive part of every map to [0, 1], as SEAM does in training.

    Gradients flow through the maximum and the minimum of a map too.

    Args:
        cam: Raw activations, shape (B, C, H, W).
        eps: Subtracted from every value and added to every divisor.

    Returns:
        Normalised maps, shape (B, C, H, W), in [0, 1); a map without a positive
        value becomes zero.

    Raises:
        ValueError: If `cam` is not four-dimensional or has no pixels.

    Example:
        >>> import torch
        >>> cam = torch.tensor([[[[-1.0, 1.0, 3.0, 5.0]]]])
        >>> training_min_max_norm(cam).round(decimals=3)
        tensor([[[[0.0000, 0.2000, 0.6000, 1.0000]]]])
    """
    check_maps('cam', cam, ndim=4)
    positive = F.relu(cam)
    high, low = extremes(positive)
    # One division per map instead of one per pixel, forward and backward.
    return F.relu(positive - (low + eps)) * (high - low + eps).reciprocal()


def training_max_norm(cam: Tensor, eps: float = EPS) -> Tensor:
    """Divide the positive part of every map by its maximum, with its gradient.

    Source: `make_cam` of Puzzle-CAM's released code.

    Args:
        cam: Raw activations, shape (B, C, h, w).
        eps: Subtracted from every value and added to every divisor.

    Returns:
        Maps in [0, 1), shape (B, C, h, w).

    Raises:
        ValueError: If `cam` is not four-dimensional or has no cells.

    Example:
        >>> import torch
        >>> training_max_norm(torch.tensor([[[[-1.0, 2.0, 4.0]]]])).round(decimals=3)
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    check_maps('cam', cam, ndim=4)
    positive = F.relu(cam)
    peak, _ = extremes(positive)
    return F.relu(positive - eps) / (peak + eps)


def inference_min_max_norm(cam: Tensor, eps: float = EPS) -> Tensor:
    """Stretch every summed map to about [0, 1], as SEAM does at inference.

    Source: SEAM, released inference code.

    Args:
        cam: Maps summed over views, shape (C, H, W).
        eps: Distance to the minimum below which a value is dropped; also
            subtracted from every value and added to every divisor.

    Returns:
        Normalised maps, shape (C, H, W), below 1. A dropped value ends slightly
        below zero, and a map without any positive value becomes -1.

    Raises:
        ValueError: If `cam` is not three-dimensional or has no pixels.

    Note:
        The values below zero are in the reference's files too; they lose against
        any background threshold, so they do not change a mask.

    Example:
        >>> import torch
        >>> cam = torch.tensor([[[0.0, 2.0, 4.0]]])
        >>> inference_min_max_norm(cam).round(decimals=3)
        tensor([[[-0.0000, 0.5000, 1.0000]]])
    """
    check_maps('cam', cam, ndim=3)
    positive = F.relu(cam)
    high, low = extremes(positive)
    kept = positive.masked_fill(positive < low + eps, 0)
    return (kept - low - eps) / (high - low + eps)


def inference_max_norm(cam: Tensor, eps: float = EPS) -> Tensor:
    """Divide every summed map by its maximum, as PSA does at inference.

    Source: PSA, released inference code.

    Args:
        cam: Maps summed over views, shape (C, H, W), usually not negative.
        eps: Added to every divisor.

    Returns:
        Normalised maps, shape (C, H, W), below 1; values are not clamped.

    Raises:
        ValueError: If `cam` is not three-dimensional or has no pixels.

    Example:
        >>> import torch
        >>> inference_max_norm(torch.tensor([[[0.0, 2.0, 4.0]]])).round(decimals=3)
        tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    check_maps('cam', cam, ndim=3)
    high, _ = extremes(cam)
    return cam / (high + eps)


def extremes(cam: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spatial maximum and minimum, broadcastable to `cam`.

    The gradient goes to one place each, as in the reference, not to all ties.
    """
    pixels = cam.flatten(-2)
    high = pixels.max(dim=-1).values[..., None, None]
    low = pixels.min(dim=-1).values[..., None, None]
    return high, low


def check_maps(name: str, cam: Tensor, ndim: int) -> None:
    """Refuse maps of another number of dimensions, or without a channel or pixel."""
    if cam.ndim != ndim or 0 in cam.shape[-3:]:
        expected = '(B, C, H, W)' if ndim == 4 else '(C, H, W)'
        raise ValueError(
            f'{name} must have the shape {expected} with at least one channel '
            f'and pixel, got {tuple(cam.shape)}'
        )


# The names of old.
max_norm = training_min_max_norm
peak_norm = training_max_norm
normalize_min_max = inference_min_max_norm
normalize_max = inference_max_norm
