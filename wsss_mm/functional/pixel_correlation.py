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

PANEL_ELEMENTS = 2**20  # of the N x N matrices held at a time: 4 MiB in float32
MIN_BLOCK = 128  # narrower panels make the products slow


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
            beyond rounding; the default is the fastest on a CPU, about 4 MiB for
            the panels of a batch but at least 128 columns.

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
    with torch.autocast(cam.device.type, enabled=False):
        pixels = embedding.flatten(2).to(dtype)
        unit = pixels / (pixels.norm(dim=1, keepdim=True) + eps)
        if block is None:
            block = max(MIN_BLOCK, PANEL_ELEMENTS // (unit.shape[0] * unit.shape[2]))
        out: Tensor = _Propagate.apply(cam.flatten(2).to(dtype), unit, eps, block)
    return out.view_as(cam).to(cam.dtype)


class _Propagate(torch.autograd.Function):
    """Map (cam, unit) to cam A / colsum(A) with A = relu(unit^T unit).

    With P = cam A, s = colsum(A) + eps, out = P / s and an incoming gradient g:
    let h = g / s and r = -sum_c h out. Then d/dA_ij = cam_i . h_j + r_j, and since
    A depends on a symmetric product, unit sees the sum of that and its transpose,
    which is symmetric again. Panels down to the diagonal suffice both ways.
    """

    @staticmethod
    def forward(ctx: Any, cam: Tensor, unit: Tensor, eps: float, block: int) -> Tensor:
        total = torch.zeros_like(cam)
        mass = torch.full_like(cam[:, :1], eps)
        for start, stop in _panels(cam.shape[2], block):
            affinity = (unit[..., :stop].mT @ unit[..., start:stop]).relu_()
            above = affinity[:, :start]
            total[..., start:stop] += cam[..., :stop] @ affinity
            mass[..., start:stop] += affinity.sum(dim=1, keepdim=True)
            if start:
                total[..., :start] += cam[..., start:stop] @ above.mT
                mass[..., :start] += above.sum(dim=2)[:, None]
        out = total.div_(mass)
        ctx.block = block
        ctx.save_for_backward(cam, unit, mass, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cam, unit, mass, out = ctx.saved_tensors
        with torch.autocast(cam.device.type, enabled=False):
            scaled = grad / mass
            grad_cam = grad_unit = None
            if ctx.needs_input_grad[0]:
                grad_cam = torch.zeros_like(cam)
            if ctx.needs_input_grad[1]:
                grad_unit = torch.zeros_like(unit)
                rest = -(scaled * out).sum(dim=1, keepdim=True)
                ones = torch.ones_like(rest)
                left = torch.cat([cam, scaled, ones, rest], dim=1)
                right = torch.cat([scaled, cam, rest, ones], dim=1)
            for start, stop in _panels(cam.shape[2], ctx.block):
                affinity = unit[..., :stop].mT @ unit[..., start:stop]
                if grad_cam is not None:
                    affinity.relu_()
                    _add_symmetric(grad_cam, scaled, affinity, start, stop)
                if grad_unit is not None:
                    positive = affinity > 0
                    # The panel is not needed any more: reuse its memory.
                    torch.bmm(left[..., :stop].mT, right[..., start:stop], out=affinity)
                    affinity *= positive
                    _add_symmetric(grad_unit, unit, affinity, start, stop)
        return grad_cam, grad_unit, None, None


def _panels(cells: int, block: int) -> Iterator[tuple[int, int]]:
    for start in range(0, cells, block):
        yield start, min(start + block, cells)


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
    into[..., start:stop] += maps[..., :stop] @ panel
    if start:
        into[..., :start] += maps[..., start:stop] @ panel[:, :start].mT


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
