"""Affinities from edges: IRN's boundary branch, which Puzzle-CAM uses too.

Reference:
    Ahn et al., "Weakly Supervised Learning of Instance Segmentation with Inter-pixel
    Relations" (IRN), CVPR 2019, and its released code,
    https://github.com/jiwoon-ahn/irn.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .affinity import (
    Offsets,
    PairRule,
    cut,
    pair_offsets,
    psa_pairs,
    source_window,
    target_window,
)


def path_pixels(dy: int, dx: int) -> Offsets:
    """List the cells on the way from (0, 0) to (dy, dx), both included.

    They are the cells of the bounding box less than one cell from the line, from far
    to near.

    Args:
        dy: Rows down, not negative.
        dx: Columns to the right; negative to the left.

    Raises:
        ValueError: If both ends are one cell, or `dy` is negative.

    Example:
        >>> path_pixels(1, -1)
        ((1, -1), (0, -1), (1, 0), (0, 0))
    """
    if dy < 0 or (dy, dx) == (0, 0):
        raise ValueError(
            f'a path goes down or sideways to another cell, got ({dy}, {dx})'
        )
    box = [(y, x) for y in range(dy + 1) for x in range(min(dx, 0), max(dx, 0) + 1)]
    length = dy * dy + dx * dx
    path = [(y, x) for y, x in box if (dy * x - dx * y) ** 2 < length]
    return tuple(sorted(path, key=lambda cell: -abs(cell[0]) - abs(cell[1])))


def path_groups(radius: int) -> tuple[Offsets, ...]:
    """Group the offsets of a neighbourhood by the length of their paths.

    Laid end to end the groups are the order of IRN's released code.

    Args:
        radius: In cells, at least 2.

    Returns:
        Groups of offsets (dy, dx), from the shortest paths to the longest.

    Example:
        >>> path_groups(2)
        (((0, 1), (1, 0)), ((1, -1), (1, 1)))
    """
    groups: dict[int, list[tuple[int, int]]] = {}
    for offset in pair_offsets(radius):
        groups.setdefault(len(path_pixels(*offset)), []).append(offset)
    return tuple(tuple(groups[length]) for length in sorted(groups))


def edge_affinity(edge: Tensor, radius: int, *, pairs: PairRule = psa_pairs) -> Tensor:
    """Turn edges into affinities: no edge may cross the way between two cells.

    The affinity of a pair is 1 minus the strongest edge on its path, both ends
    included (IRN, eq. 4). Of several equally strong cells one gets the gradient.

    Args:
        edge: Probability of an edge in [0, 1], shape (B, h, w).
        radius: Of the neighbourhood, in cells. IRN trains with 10 and infers with 5.
        pairs: Which pairs exist: `psa_pairs` as IRN trains, `complete_pairs` as it
            infers, or `seam_pairs`.

    Returns:
        Affinity map in [0, 1], 0 where a pair does not exist, shape (B, P, h, w).

    Raises:
        ValueError: If `edge` has another shape or type, or the radius is less than 2.

    Example:
        >>> edge = torch.tensor([[[0.0, 0.0, 0.75], [0.0, 0.0, 0.0]]])
        >>> edge_affinity(edge, 2)[0, :, 0, 1]
        tensor([0.2500, 1.0000, 1.0000, 0.2500])
    """
    if edge.ndim != 3 or not edge.is_floating_point() or 0 in edge.shape:
        raise ValueError(
            'edge must be floating point of shape (B, h, w), got '
            f'{tuple(edge.shape)} of {edge.dtype}'
        )
    height, width = edge.shape[-2:]
    exists = pairs(height, width, radius).to(edge.device)
    if edge.dtype in (torch.float16, torch.bfloat16):
        edge = edge.float()
    maps = []
    for dy, dx in pair_offsets(radius):
        rows, columns = source = source_window(height, width, dy, dx)
        path = [cut(edge, target_window(source, y, x)) for y, x in path_pixels(dy, dx)]
        strongest = torch.stack(path).max(dim=0).values
        around = (
            *(columns.start, width - columns.stop),
            *(rows.start, height - rows.stop),
        )
        maps.append(F.pad(1 - strongest, around))
    return torch.stack(maps, dim=1).masked_fill(~exists, 0)
