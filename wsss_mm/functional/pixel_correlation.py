"""Pixel correlation: refine a CAM with the similarity of pixel embeddings.

Reference:
    Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly
    Supervised Semantic Segmentation" (SEAM), CVPR 2020, arXiv:2004.04581, and
    its released code, https://github.com/YudeWang/SEAM.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

PANEL_ELEMENTS = 2**19  # of the N x N matrices held at a time: 2 MiB in float32
MIN_BLOCK = 64  # narrower panels make the products slow


def pixel_correlation(
    cam: Tensor, embedding: Tensor, *, eps: float = 1e-5, block: int | None = None
) -> Tensor:
    """Replace every pixel of a CAM by a mean over the pixels it resembles.

    The weights are rectified cosine similarities, normalised to sum to one over
    the source pixels. The N x N matrix of them (N = H W) never exists: it is
    symmetric, so panels of columns down to the diagonal are formed one after the
    other, forward and once more backward. Both inputs may need gradients.

    Args:
        cam: Activations, shape (B, C, H, W).
        embedding: Pixel embeddings, shape (B, D, H, W).
        eps: Added to every divisor; empty embeddings give zeros.
        block: Columns in a panel. It bounds memory and does not change the result
            beyond rounding. By default the panels of a batch take about 2 MiB,
            but at least 64 columns each.

    Returns:
        The refined activations, shape (B, C, H, W), in the type of `cam`; half
        precision is computed in float32.

    Raises:
        ValueError: If batch or spatial sizes differ, an input is empty or not
            floating point, or `block` is not positive.

    Example:
        >>> cam = torch.tensor([[[[1.0, 0.0]]]])
        >>> same = torch.ones(1, 4, 1, 2)
        >>> pixel_correlation(cam, same)
        tensor([[[[0.5000, 0.5000]]]])
    """
    _check(cam, embedding, block)
    dtype = torch.promote_types(cam.dtype, embedding.dtype)
    if dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    if block is None:
        cells = cam.shape[2] * cam.shape[3]
        block = max(MIN_BLOCK, PANEL_ELEMENTS // (cells * cam.shape[0]))
    with torch.autocast(cam.device.type, enabled=False):
        maps, pixels = cam.flatten(2).to(dtype), embedding.flatten(2).to(dtype)
        out: Tensor = _Propagate.apply(maps, pixels, eps, block)
    return out.view_as(cam).to(cam.dtype)


class _Propagate(torch.autograd.Function):
    """Map (cam, pixels) to cam A / mass with A = relu(u^T u), u = unit(pixels).

    Here mass = colsum(A) + eps. For an incoming gradient g let h = g / mass and
    r = -sum_c h out. Then d/dA_ij = cam_i . h_j + r_j, and since A depends on a
    symmetric product, u sees the sum of that and its transpose, which is symmetric
    again: panels down to the diagonal suffice both ways. Between the passes nothing
    larger than the inputs is kept.
    """

    @staticmethod
    def forward(
        ctx: Any, cam: Tensor, pixels: Tensor, eps: float, block: int
    ) -> Tensor:
        unit = _unit(pixels, eps)
        total = torch.zeros_like(cam)
        mass = torch.full_like(cam[:, :1], eps)
        for start, stop in _panels(cam.shape[2], block):
            affinity = _similarity(unit, unit, start, stop).relu_()
            _add_symmetric(total, cam, affinity, start, stop)
            mass[..., start:stop] += affinity.sum(dim=1, keepdim=True)
            mass[..., :start] += affinity[:, :start].sum(dim=2)[:, None]
        out = total.div_(mass)
        ctx.eps, ctx.block = eps, block
        ctx.save_for_backward(cam, pixels, mass, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cam, pixels, mass, out = ctx.saved_tensors
        grad_cam = torch.zeros_like(cam) if ctx.needs_input_grad[0] else None
        grad_unit = torch.zeros_like(pixels) if ctx.needs_input_grad[1] else None
        with torch.autocast(cam.device.type, enabled=False):
            unit = _unit(pixels, ctx.eps)
            scaled = grad / mass
            rest = -(scaled * out).sum(dim=1, keepdim=True)
            ones = torch.ones_like(rest)
            left = torch.cat([cam, scaled, ones, rest], dim=1)
            right = torch.cat([scaled, cam, rest, ones], dim=1)
            for start, stop in _panels(cam.shape[2], ctx.block):
                affinity = _similarity(unit, unit, start, stop).relu_()
                if grad_cam is not None:
                    _add_symmetric(grad_cam, scaled, affinity, start, stop)
                if grad_unit is not None:
                    slope = _similarity(left, right, start, stop)
                    slope.mul_(affinity.sign_())
                    _add_symmetric(grad_unit, unit, slope, start, stop)
            if grad_unit is not None:
                for start, stop in _panels(cam.shape[2], ctx.block):
                    part = slice(start, stop)
                    _undo_unit(grad_unit[..., part], pixels[..., part], ctx.eps)
        return grad_cam, grad_unit, None, None


def _unit(pixels: Tensor, eps: float) -> Tensor:
    norm: Tensor = pixels.norm(dim=1, keepdim=True)
    return pixels / (norm + eps)


def _undo_unit(grad: Tensor, pixels: Tensor, eps: float) -> None:
    """Turn the gradient of `_unit(pixels)` into that of `pixels`, in place."""
    norm = pixels.norm(dim=1, keepdim=True)
    length = norm + eps
    # Along its own direction a pixel only has the slope of eps; none when empty.
    direction = pixels / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    along = (direction * grad).sum(dim=1, keepdim=True)
    grad.addcmul_(direction, along * norm / length, value=-1).div_(length)


def _panels(cells: int, block: int) -> Iterator[tuple[int, int]]:
    for start in range(0, cells, block):
        yield start, min(start + block, cells)


def _similarity(left: Tensor, right: Tensor, start: int, stop: int) -> Tensor:
    """Form one panel of left^T right: rows [0, stop) of columns [start, stop)."""
    return torch.bmm(left[..., :stop].mT, right[..., start:stop])


def _add_symmetric(
    into: Tensor, maps: Tensor, panel: Tensor, start: int, stop: int
) -> None:
    """Add to `into` what one panel of a symmetric matrix makes of `maps`.

    Args:
        into: Sum so far, shape (B, C, N), written to.
        maps: Left factor, shape (B, C, N).
        panel: Rows [0, stop) of columns [start, stop), shape (B, stop, columns).
        start: First column.
        stop: Column after the last.
    """
    into[..., start:stop].baddbmm_(maps[..., :stop], panel)
    if start:
        into[..., :start].baddbmm_(maps[..., start:stop], panel[:, :start].mT)


def _check(cam: Tensor, embedding: Tensor, block: int | None) -> None:
    shapes = f'cam {tuple(cam.shape)} and embedding {tuple(embedding.shape)}'
    if cam.ndim != 4 or embedding.ndim != 4:
        raise ValueError(f'{shapes} must have the shapes (B, C, H, W), (B, D, H, W)')
    if cam.shape[0] != embedding.shape[0] or cam.shape[2:] != embedding.shape[2:]:
        raise ValueError(f'{shapes} must share B, H and W')
    if cam.numel() == 0 or embedding.numel() == 0:
        raise ValueError(f'{shapes} must not be empty')
    if not (cam.is_floating_point() and embedding.is_floating_point()):
        raise ValueError(
            'cam and embedding must be floating point, got '
            f'{cam.dtype} and {embedding.dtype}'
        )
    if block is not None and block < 1:
        raise ValueError(f'block must be a positive number of columns, got {block}')
