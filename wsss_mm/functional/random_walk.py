"""Random walk: spread scores over neighbours in proportion to their affinity.

Reference:
    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision for Weakly Supervised Semantic Segmentation" (AffinityNet),
    CVPR 2018, eq. 5 and 6, and its released code, https://github.com/jiwoon-ahn/psa.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Offsets = Sequence[tuple[int, int]]


def random_walk(
    scores: Tensor,
    affinity: Tensor,
    offsets: Offsets,
    *,
    beta: float,
    steps: int,
    tolerance: float = 1e-6,
) -> Tensor:
    """Multiply scores by a power of the transition matrix.

    With A the symmetric matrix of the affinities to the power `beta` and ones on
    the diagonal, D its column sums and T = A D^-1, this is ``scores @ T ** steps``.
    Neither T nor a power of it is ever formed. T is similar to the symmetric
    S = D^-1/2 A D^-1/2, whose eigenvalues lie in [-1, 1]; there x^t is a sum of
    Chebyshev polynomials whose coefficients fall off like exp(-k^2 / 2t), so
    about sqrt(2 t ln(2 / tolerance)) products with S replace t products with T.

    The error E that cutting this sum off leaves is bounded per channel by
    ``|E D^1/2| <= tolerance * |scores D^1/2|`` in the Euclidean norm; rounding adds
    a few 1e-6 of the largest score in float32. No gradient is recorded.

    Args:
        scores: Activations of the cells, shape (K, h, w) or (B, K, h, w).
        affinity: Affinity of each cell (y, x) and its neighbour at
            (y + dy, x + dx), in [0, 1], shape (P, h, w) or (B, P, h, w). Entries
            whose neighbour lies outside do not count.
        offsets: The P pairs (dy, dx); a pair and its opposite are one neighbour.
        beta: Exponent of the affinities, positive.
        steps: Exponent t of the transition matrix.
        tolerance: Largest share of the coefficients that may be cut off.

    Returns:
        Activations after the walk, in the shape and type of `scores`; half
        precision is computed in float32.

    Raises:
        ValueError: If shapes do not fit, the affinities are negative or not finite,
            an offset repeats, or a number is out of range.

    Note:
        The released code forms T and squares it log2(t) times, which takes N^3
        operations and N^2 memory for N = h w cells.

    Example:
        >>> scores = torch.tensor([[[1.0, 0.0]]])
        >>> neighbours = torch.tensor([[[1.0, 0.0]]])  # of each cell and the next
        >>> random_walk(scores, neighbours, [(0, 1)], beta=8, steps=2)
        tensor([[[0.5000, 0.5000]]])
    """
    _check(scores, affinity, offsets)
    if not (math.isfinite(beta) and beta > 0):
        raise ValueError(f'beta must be a positive number, got {beta}')
    if steps < 0 or not 0 < tolerance < 1:
        raise ValueError(
            f'steps must not be negative and tolerance must be in (0, 1), got {steps} '
            f'and {tolerance}'
        )
    dtype = torch.promote_types(scores.dtype, affinity.dtype)
    if dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    with torch.no_grad(), torch.autocast(scores.device.type, enabled=False):
        maps = scores if scores.ndim == 4 else scores[None]
        weights = affinity if affinity.ndim == 4 else affinity[None]
        graph = _Graph.build(weights.to(dtype), offsets, beta=beta)
        walked = graph.walk(maps.to(dtype), power_coefficients(steps, tolerance))
        return walked.to(scores.dtype).view_as(scores)


def power_coefficients(steps: int, tolerance: float) -> list[float]:
    """Expand x^t in Chebyshev polynomials on [-1, 1], as far as needed.

    Args:
        steps: The exponent t, not negative.
        tolerance: Largest sum of the coefficients that are left out.

    Returns:
        Factor of T_0, T_1, ...; every other one is zero. All are not negative and
        the whole sum is one.

    Example:
        >>> power_coefficients(2, 1e-6)  # x^2 = 1/2 T_0 + 1/2 T_2
        [0.5, 0.0, 0.5]
    """
    whole = [0.0] * (steps + 1)
    for k in range(steps % 2, steps + 1, 2):
        # Exact integers until the division, so that no exponent is too large.
        ways = math.comb(steps, (steps - k) // 2)
        whole[k] = (ways if k == 0 else 2 * ways) / 2**steps
    tail = 0.0
    while len(whole) > 1 and tail + whole[-1] < tolerance:
        tail += whole.pop()
    return whole


def transition_matrix(affinity: Tensor, offsets: Offsets, *, beta: float) -> Tensor:
    """Form the dense transition matrix, to look at or to compare with.

    Args:
        affinity: As in `random_walk`, shape (P, h, w).
        offsets: The P pairs (dy, dx).
        beta: Exponent of the affinities.

    Returns:
        T, shape (N, N) with N = h w; every column sums to one.

    Raises:
        ValueError: If the shapes do not fit.
    """
    _check(affinity[:0], affinity, offsets)
    height, width = affinity.shape[-2:]
    weights = _inside(affinity, offsets) * affinity.pow(beta)
    cells = torch.arange(height * width, device=affinity.device)
    matrix = torch.diag(torch.ones_like(cells, dtype=affinity.dtype))
    for weight, (dy, dx) in zip(weights.flatten(1), offsets):
        source = weight.nonzero().flatten()
        target = source + dy * width + dx
        matrix[source, target] = matrix[target, source] = weight[source]
    return matrix / matrix.sum(dim=0)


@dataclass(frozen=True)
class _Graph:
    """The matrix L = 2 (S - I) on rows that are padded, so that no offset wraps.

    Attributes:
        size: (h, w) of the cells, and the padded width.
        shifts: Distance of each neighbour in a flattened map.
        weights: L beside the diagonal, shape (P, B, 1, M) with M padded cells.
        diagonal: L on the diagonal, shape (B, 1, M).
        root: D^1/2, shape (B, 1, M).
    """

    size: tuple[int, int, int]
    shifts: tuple[int, ...]
    weights: Tensor
    diagonal: Tensor
    root: Tensor

    @classmethod
    def build(cls, affinity: Tensor, offsets: Offsets, *, beta: float) -> '_Graph':
        height, width = affinity.shape[-2:]
        padded = width + max((abs(dx) for _, dx in offsets), default=0)
        batch = affinity.shape[0]
        cells = height * padded
        weights = affinity.new_zeros(len(offsets), batch, 1, height, padded)
        weights[..., :width] = affinity.transpose(0, 1)[:, :, None]
        weights.pow_(beta)
        weights[..., :width] *= _inside(affinity[0], offsets)[:, None, None]
        weights = weights.view(len(offsets), batch, 1, cells)
        shifts = tuple(dy * padded + dx for dy, dx in offsets)
        others = weights.new_zeros(batch, 1, cells)
        for weight, shift in zip(weights, shifts):
            first, second = _ends(cells, shift)
            others[..., first] += weight[..., first]
            others[..., second] += weight[..., first]
        degree = 1 + others
        root = degree.sqrt()
        for weight, shift in zip(weights, shifts):
            first, second = _ends(cells, shift)
            weight[..., first] *= 2 / (root[..., first] * root[..., second])
        # 1 / degree - 1, without its cancellation.
        diagonal = -2 * others / degree
        return cls((height, width, padded), shifts, weights, diagonal, root)

    def links(self, source: Tensor, target: Tensor) -> list[tuple[Tensor, ...]]:
        """Pair the views that one product multiplies and adds."""
        views: list[tuple[Tensor, ...]] = []
        for weight, shift in zip(self.weights, self.shifts):
            first, second = _ends(source.shape[-1], shift)
            weight = weight[..., first]
            views.append((target[..., second], weight, source[..., first]))
            views.append((target[..., first], weight, source[..., second]))
        return views

    def walk(self, scores: Tensor, coefficients: list[float]) -> Tensor:
        """Sum Chebyshev polynomials of S, applied to (B, K, h, w) scores.

        T_k+1 = T_k + (T_k - T_k-1) + L T_k. Adding up the small differences keeps the
        rounding where S is close to 1; in 2 S T_k - T_k-1 it would grow like k^2. The
        mean that a walk keeps for ever is taken out for the same reason.
        """
        height, width, padded = self.size
        batch, channels = scores.shape[:2]
        inner = self.root.view(batch, 1, height, padded)[..., :width]
        degree = inner.square()
        mean = _mean(scores, degree)
        now = scores.new_zeros(batch, channels, height, padded)
        now[..., :width] = (scores - mean) * inner
        now = now.view(batch, channels, -1)
        total = now * coefficients[0]
        change = torch.zeros_like(now)
        links = self.links(now, change)
        for k, factor in enumerate(coefficients[1:]):
            change.addcmul_(self.diagonal, now)
            for target, weight, source in links:
                target.addcmul_(weight, source)
            if k == 0:  # T_1 = T_0 + L T_0 / 2
                change.mul_(0.5)
            now.add_(change)
            if factor:
                total.add_(now, alpha=factor)
        walked = total.view(batch, channels, height, padded)[..., :width] / inner
        return walked - _mean(walked, degree) + mean


def _mean(scores: Tensor, degree: Tensor) -> Tensor:
    """Average over the cells in proportion to their degrees, (B, K, 1, 1)."""
    total = degree.sum(dim=(2, 3), keepdim=True)
    return (scores * degree).sum(dim=(2, 3), keepdim=True) / total


def _ends(cells: int, shift: int) -> tuple[slice, slice]:
    """Index the two ends of all pairs that are a shift apart; the first is stored."""
    low, high = slice(0, cells - abs(shift)), slice(abs(shift), cells)
    return (low, high) if shift >= 0 else (high, low)


def _inside(affinity: Tensor, offsets: Offsets) -> Tensor:
    """Mark the cells whose neighbour exists, shape (P, h, w)."""
    height, width = affinity.shape[-2:]
    y = torch.arange(height, device=affinity.device)[:, None]
    x = torch.arange(width, device=affinity.device)
    marks = [
        (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        for dy, dx in offsets
    ]
    if not marks:
        return affinity.new_zeros(0, height, width)
    return torch.stack(marks).to(affinity.dtype)


def _check(scores: Tensor, affinity: Tensor, offsets: Offsets) -> None:
    """Refuse scores, affinities and offsets that do not belong together."""
    if affinity.ndim not in (3, 4) or affinity.shape[-3] != len(offsets):
        raise ValueError(
            f'affinity must have the shape (P, h, w) or (B, P, h, w) with '
            f'P = {len(offsets)} offsets, got {tuple(affinity.shape)}'
        )
    fits = scores.ndim == affinity.ndim and scores.shape[-2:] == affinity.shape[-2:]
    if not fits or (scores.ndim == 4 and len(scores) != len(affinity)):
        raise ValueError(
            f'scores {tuple(scores.shape)} and affinity {tuple(affinity.shape)} must '
            'agree in batch and size'
        )
    if not (scores.is_floating_point() and affinity.is_floating_point()):
        raise ValueError(
            f'scores and affinity must be floating point, got {scores.dtype} and '
            f'{affinity.dtype}'
        )
    if affinity.numel() and not (affinity.min() >= 0 and affinity.max() < math.inf):
        raise ValueError('affinity must be finite and not negative')
    seen = {max(offset, (-offset[0], -offset[1])) for offset in offsets}
    if len(seen) < len(offsets) or (0, 0) in seen:
        raise ValueError(
            'every neighbour must occur once among the offsets, without (0, 0) and '
            f'without opposites, got {list(offsets)}'
        )
