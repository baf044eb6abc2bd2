"""How far scores spread between the cells of an image: the affinities of networks.

An affinity network, the CAM network itself, or the attention of a transformer finds out
which cells belong together. A refiner hands it scores and gets them back spread, and
need not know which of them it was.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from wsss_mm.functional.random_walk import random_walk
from wsss_mm.utils.errors import InputError

Self = TypeVar('Self', bound='LocalAffinity')


class Affinity(Protocol):
    """Spread scores over the cells of one image.

    Cells cover the image from its upper left corner; those at the right and at the
    bottom may reach beyond it, so there are (ceil(H / stride), ceil(W / stride)).
    """

    @property
    def size(self) -> tuple[int, int]:
        """Cells (h, w) of the image."""

    @property
    def stride(self) -> int:
        """Pixels in a cell, along each side."""

    @property
    def device(self) -> torch.device:
        """Where scores must lie."""

    def walking(self, *, beta: float, steps: int) -> 'Affinity':
        """Give the same affinity with another sharpness and length of the walk.

        Args:
            beta: Exponent of each affinity, positive; a larger one holds scores
                tighter.
            steps: How often scores go from a cell to its neighbours.
        """

    def propagate(self, scores: Tensor) -> Tensor:
        """Spread scores along the affinities.

        Args:
            scores: Activations of the cells, float32, shape (n, h, w); any n, and any
                unit, as it is linear in them.

        Returns:
            Activations, shape (n, h, w), on the same device; `scores` stays as it is.
        """


@dataclass(frozen=True)
class LocalAffinity:
    """Affinities of pairs of near cells, as AffinityNet and SEAM learn them.

    Attributes:
        weights: Affinity of each cell (y, x) and the cell at (y + dy, x + dx), in
            [0, 1], 0 where there is none, shape (P, h, w).
        offsets: The P pairs (dy, dx).
        stride: Pixels in a cell, along each side.
        beta: Exponent of the affinities; 8 in AffinityNet and SEAM.
        steps: Exponent of the transition matrix; 256 in AffinityNet, 64 in SEAM.
    """

    weights: Tensor
    offsets: tuple[tuple[int, int], ...]
    stride: int
    beta: float = field(default=8, kw_only=True)
    steps: int = field(default=256, kw_only=True)

    @property
    def size(self) -> tuple[int, int]:
        """Cells (h, w) of the image."""
        height, width = self.weights.shape[-2:]
        return height, width

    @property
    def device(self) -> torch.device:
        """Where scores must lie."""
        return self.weights.device

    def walking(self: Self, *, beta: float, steps: int) -> Self:
        """Give the same affinities with another walk."""
        return replace(self, beta=beta, steps=steps)

    def propagate(self, scores: Tensor) -> Tensor:
        """Walk along the pairs, (n, h, w) to (n, h, w); see `random_walk`."""
        return random_walk(
            scores, self.weights.float(), self.offsets, beta=self.beta, steps=self.steps
        )


@dataclass(frozen=True)
class EdgeAffinity(LocalAffinity):
    """Affinities between edges, as IRN and Puzzle-CAM learn them.

    What lies on an edge does not spread.

    Attributes:
        edge: How sure an edge is, in [0, 1], shape (h, w).
    """

    edge: Tensor

    def __post_init__(self) -> None:
        if tuple(self.edge.shape) != self.size:
            raise InputError(
                f'edge must have the shape {self.size} of the affinities, got '
                f'{tuple(self.edge.shape)}'
            )

    def propagate(self, scores: Tensor) -> Tensor:
        """Walk what lies beside the edges, (n, h, w) to (n, h, w)."""
        return super().propagate(scores * (1 - self.edge))


@dataclass(frozen=True)
class DenseAffinity:
    """Affinities of all pairs of cells, as attention gives them.

    The class-aware affinity of CLIP-ES is this with its symmetrised attention as matrix
    and `steps` = 2, applied to CAMs that are zero outside their boxes.

    Attributes:
        matrix: What cell j gives to cell i at [i, j], not negative, shape (N, N) with
            N = h w, row by row.
        size: Cells (h, w) of the image.
        stride: Pixels in a cell, along each side.
        beta: Exponent of the affinities; 1 takes the matrix as it is, others divide
            each row of the power by its sum.
        steps: How often the matrix is applied.

    Raises:
        InputError: If the matrix does not fit the cells.
    """

    matrix: Tensor
    size: tuple[int, int]
    stride: int
    beta: float = field(default=1, kw_only=True)
    steps: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        cells = self.size[0] * self.size[1]
        if tuple(self.matrix.shape) != (cells, cells):
            raise InputError(
                f'the matrix of {self.size} cells must have the shape '
                f'{(cells, cells)}, got {tuple(self.matrix.shape)}'
            )

    @property
    def device(self) -> torch.device:
        """Where scores must lie."""
        return self.matrix.device

    def walking(self, *, beta: float, steps: int) -> 'DenseAffinity':
        """Give the same affinities with another walk."""
        return replace(self, beta=beta, steps=steps)

    def propagate(self, scores: Tensor) -> Tensor:
        """Apply the matrix to all cells, (n, h, w) to (n, h, w)."""
        matrix = self.matrix.to(scores.dtype)
        if self.beta != 1:
            powered = matrix.pow(self.beta)
            matrix = powered / powered.sum(dim=1, keepdim=True)
        spread = scores.flatten(1).T
        for _ in range(self.steps):
            spread = matrix @ spread
        return spread.T.reshape(scores.shape)
