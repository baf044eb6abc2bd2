"""Class activation maps: mask, let classes compete, train from tags.

References:
    Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly
    Supervised Semantic Segmentation" (SEAM), CVPR 2020, arXiv:2004.04581, and
    its released code, https://github.com/YudeWang/SEAM.
    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision" (PSA), CVPR 2018, arXiv:1803.10464, and its released code.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .normalisation import EPS, check_maps, extremes


def upsampled_mean(cam: Tensor, size: tuple[int, int]) -> Tensor:
    """Average every map as if it were resized first (bilinear, corners aligned).

    SEAM's tag logits are means of maps at the size of the image. Resizing is
    linear, so they are weighted means of the small maps.

    Args:
        cam: Raw activations, shape (B, C, h, w).
        size: The (H, W) it would be resized to.

    Returns:
        Means, shape (B, C).

    Raises:
        ValueError: If `cam` is not four-dimensional or has no pixels.

    Example:
        >>> upsampled_mean(torch.tensor([[[[1.0, 3.0, 8.0]]]]), (1, 5))
        tensor([[3.9000]])
    """
    check_maps('cam', cam, ndim=4)
    weights = []
    for cells, pixels in zip(cam.shape[-2:], size):
        basis = torch.eye(cells, dtype=cam.dtype, device=cam.device)[None]
        resized = F.interpolate(basis, pixels, mode='linear', align_corners=True)
        weights.append(resized.mean(dim=2)[0])
    return torch.einsum('bchw,h,w->bc', cam, *weights)


def competing_cam(cam: Tensor, eps: float = EPS) -> Tensor:
    """Let the classes of a CAM compete for every pixel before it is propagated.

    Each map is divided by its own maximum; the background becomes one minus the
    strongest foreground class; of the foreground only the winner keeps its value
    (every winner, where there are ties). Image tags play no part.

    Source: the normalisation inside SEAM's released network.

    Args:
        cam: Raw activations, shape (B, K, H, W); channel 0, the background, is
            ignored and replaced.
        eps: Subtracted from every value and added to every divisor.

    Returns:
        Competing maps in [0, 1], shape (B, K, H, W), cut off from the graph.

    Raises:
        ValueError: If `cam` is not four-dimensional, has no pixels or has no
            foreground channel.

    Example:
        >>> cam = torch.tensor([0.0, 2.0, 1.0, 0.0, 1.0, 4.0]).view(1, 3, 1, 2)
        >>> competing_cam(cam).round(decimals=2).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    check_maps('cam', cam, ndim=4)
    _check_foreground(cam)
    return competing_foreground(cam[:, 1:], eps)


def competing_foreground(cam: Tensor, eps: float = EPS) -> Tensor:
    """Let classes compete as `competing_cam`, and put their background in front.

    Args:
        cam: Raw activations of the foreground, shape (B, C, H, W).
        eps: Subtracted from every value and added to every divisor.

    Returns:
        Competing maps in [0, 1], shape (B, K, H, W), cut off from the graph.

    Raises:
        ValueError: If `cam` is not four-dimensional or has no channel or pixel.

    Example:
        >>> cam = torch.tensor([2.0, 1.0, 1.0, 4.0]).view(1, 2, 1, 2)
        >>> competing_foreground(cam).round(decimals=2).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    check_maps('cam', cam, ndim=4)
    # A tensor of its own from here on, changed in place: many classes are large.
    scaled = F.relu(cam.detach())
    high, _ = extremes(scaled)
    scaled.sub_(eps).relu_().div_(high + eps)
    winner = scaled.amax(dim=1, keepdim=True)
    scaled.masked_fill_(scaled < winner, 0)
    return torch.cat([1 - winner, scaled], dim=1)


def with_background(cam: Tensor) -> Tensor:
    """Prepend a background map: one minus the strongest foreground class.

    Args:
        cam: Foreground maps in [0, 1], shape (B, C, H, W).

    Returns:
        Background and foreground maps, shape (B, K, H, W).

    Raises:
        ValueError: If `cam` is not four-dimensional or has no channel or pixel.

    Example:
        >>> with_background(torch.tensor([[[[0.25]], [[0.75]]]])).flatten().tolist()
        [0.25, 0.25, 0.75]
    """
    check_maps('cam', cam, ndim=4)
    # max(dim) sends the gradient to one winner, amax would share it between ties.
    return torch.cat([1 - cam.max(dim=1, keepdim=True).values, cam], dim=1)


def mask_absent(cam: Tensor, labels: Tensor) -> Tensor:
    """Zero the maps of classes that the image does not have.

    Args:
        cam: Maps, shape (B, C, H, W).
        labels: Multi-hot image tags, shape (B, C), one entry per map.

    Returns:
        Masked maps, shape (B, C, H, W).

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> mask_absent(torch.ones(1, 2, 1, 1), torch.tensor([[0, 1]])).flatten()
        tensor([0., 1.])
    """
    check_maps('cam', cam, ndim=4)
    if labels.shape != cam.shape[:2]:
        raise ValueError(
            f'labels must have the shape {tuple(cam.shape[:2])} of the batch and '
            f'the channels of cam, got {tuple(labels.shape)}'
        )
    return cam * labels.to(cam)[:, :, None, None]


def sum_views(cams: Sequence[Tensor]) -> Tensor:
    """Add up the maps of one image over its scales and flips.

    Args:
        cams: One map stack per view, each of shape (C, H, W): resized to the
            image, masked by its tags and flipped back.

    Returns:
        The sum, shape (C, H, W).

    Raises:
        ValueError: If there is no view or the shapes differ.

    Example:
        >>> sum_views([torch.ones(1, 1, 2), torch.ones(1, 1, 2)])
        tensor([[[2., 2.]]])
    """
    check_views(cams)
    total = cams[0].clone()
    for cam in cams[1:]:
        total += cam
    return total


def tag_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compare class scores of an image with its tags, class by class.

    Args:
        logits: Scores, shape (B, C).
        labels: Multi-hot image tags, shape (B, C).

    Returns:
        Binary cross entropy of the sigmoid scores, mean over B and C.

    Raises:
        ValueError: If the shapes differ or are not (B, C).

    Example:
        >>> tag_loss(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
        tensor(0.6931)
    """
    if logits.ndim != 2 or logits.shape != labels.shape:
        raise ValueError(
            'logits and labels must share the shape (B, C), got '
            f'{tuple(logits.shape)} and {tuple(labels.shape)}'
        )
    return F.multilabel_soft_margin_loss(logits, labels.to(logits))


def check_views(cams: Sequence[Tensor]) -> None:
    """Refuse to fuse no map stack, or stacks whose shapes differ."""
    if not cams:
        raise ValueError('fusing needs at least one view, got none')
    shapes = sorted({tuple(cam.shape) for cam in cams})
    if len(shapes) > 1:
        raise ValueError(f'all views must have one shape (C, H, W), got {shapes}')


def _check_foreground(cam: Tensor) -> None:
    if cam.shape[1] < 2:
        raise ValueError(
            'cam must have a background and at least one foreground channel, '
            f'got shape {tuple(cam.shape)}'
        )
