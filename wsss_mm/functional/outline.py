"""Outlines and run lengths of masks: what `rasterize` draws, the other way round.

Outlines run along the sides of pixels, so that drawing them gives the mask again, to
the pixel. Those of `cv2.findContours` run through the centres of pixels, and what fills
them by another rule than OpenCV's loses half a pixel all around.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wsss_mm.functional.rasterize import fill_polygon

Corners = npt.NDArray[np.int64]
# Headings: east, south, west, north; y points down.
STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


class Region(NamedTuple):
    """A region of one value, filled: what lies in its holes is painted later.

    Attributes:
        value: Of its pixels.
        corners: Its outline as x, y in pixels, shape (n, 2).
    """

    value: int
    corners: Corners


def encode_rle(inside: npt.NDArray[np.bool_]) -> list[int]:
    """Count the runs of pixels as COCO does; `decode_rle` expands them.

    Args:
        inside: Shape (H, W).

    Returns:
        Lengths of runs, down the columns, by turns outside and inside.

    Example:
        >>> encode_rle(np.array([[False, True], [True, False]]))
        [1, 2, 1]
    """
    flat = np.asarray(inside, bool).T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(np.int8)))
    bounds = np.concatenate([[0], edges, [flat.size]])
    return [int(run) for run in np.diff(bounds)]


def trace_outlines(inside: npt.NDArray[np.bool_]) -> list[Corners]:
    """Follow the sides between pixels that are inside and pixels that are not.

    Pixels that touch in a corner alone are not joined.

    Args:
        inside: Shape (H, W).

    Returns:
        Closed outlines as x, y in pixels, (n, 2) each, of corners only. Outer ones have
        the inside on their right and a positive `area`, those of holes a negative one.

    Example:
        >>> trace_outlines(np.array([[True, True]]))[0].tolist()
        [[0, 0], [2, 0], [2, 1], [0, 1]]
    """
    height, width = np.shape(inside)
    padded = np.pad(np.asarray(inside, bool), 1)
    here, right, below = padded[1:-1, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1]
    left, above = padded[1:-1, :-2], padded[:-2, 1:-1]
    # Whether a side leaves a corner in each heading; corners are counted from (0, 0).
    leaves = np.zeros((4, height + 1, width + 1), bool)
    leaves[0, :-1, :-1] = here & ~above
    leaves[1, :-1, 1:] = here & ~right
    leaves[2, 1:, 1:] = here & ~below
    leaves[3, 1:, :-1] = here & ~left
    outlines = []
    left_over = leaves.copy()
    for y, x in np.argwhere(leaves[0]).tolist():
        if left_over[0, y, x]:
            outlines.append(follow(leaves, left_over, x, y))
    return outlines


def follow(
    leaves: npt.NDArray[np.bool_], left_over: npt.NDArray[np.bool_], x: int, y: int
) -> Corners:
    """Follow one outline from a side that goes east, and take its sides away.

    Args:
        leaves: Whether a side leaves each corner in each heading, (4, H + 1, W + 1).
        left_over: The same without the outlines that were followed; is written to.
        x: Column of the corner to begin at.
        y: Its row.
    """
    heading, corners = 0, []
    before = -1
    while left_over[heading, y, x]:
        left_over[heading, y, x] = False
        if heading != before:
            corners.append((x, y))
        before = heading
        x, y = x + int(STEPS[heading, 0]), y + int(STEPS[heading, 1])
        # To the right first: that stays with the same pixel.
        for turn in (1, 0, 3):
            if leaves[(heading + turn) % 4, y, x]:
                heading = (heading + turn) % 4
                break
    return np.array(corners, np.int64)


def area(corners: npt.ArrayLike) -> float:
    """Compute the area of a polygon, positive if its inside is on the right.

    Args:
        corners: As x, y with y downwards, shape (n, 2).

    Example:
        >>> area([[0, 0], [2, 0], [2, 1], [0, 1]])
        2.0
    """
    x, y = np.asarray(corners, np.float64).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def layered_regions(mask: npt.NDArray[np.integer]) -> list[Region]:
    """Cut a mask into filled regions that give it again when painted in order.

    Formats of polygons have no holes. Here a hole is what is painted into it later: a
    region of another value, or of 0. Regions of 0 outside of all others are left out.

    Args:
        mask: Values, shape (H, W).

    Returns:
        The regions, large ones first.
    """
    found = [
        (area(corners), Region(int(value), corners))
        for value in np.unique(mask)
        for corners in trace_outlines(mask == value)
    ]
    canvas = np.zeros(np.shape(mask), np.int64)
    kept = []
    # Regions lie inside each other or apart: a region's pixels join by their sides, so
    # that it cannot cross an outline.
    for _, region in sorted(
        (one for one in found if one[0] > 0), key=lambda one: -one[0]
    ):
        if paint(canvas, region.corners, region.value):
            kept.append(region)
    return kept


def paint(
    canvas: npt.NDArray[np.integer], corners: npt.NDArray[np.generic], value: int
) -> bool:
    """Fill a polygon of a mask with a value, in place; say whether that changed it.

    Args:
        canvas: Values, shape (H, W); is written to.
        corners: As x, y in pixels, shape (n, 2).
        value: To write.
    """
    height, width = canvas.shape
    low = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    inside = fill_polygon(corners - low, part.shape) & (part != value)
    part[inside] = value
    return bool(inside.any())


def keyholed_outlines(inside: npt.NDArray[np.bool_]) -> list[Corners]:
    """Outline regions so that holes need no outline of their own.

    A polygon runs along a region, and to each of its holes and back on the same way: by
    the even-odd rule that way is no part of it.

    Args:
        inside: Shape (H, W).

    Returns:
        A polygon for each region, as x, y in pixels, (n, 2) each; none overlap.
    """
    loops = trace_outlines(inside)
    outer = sorted((one for one in loops if area(one) > 0), key=lambda one: -area(one))
    owner = np.full(np.shape(inside), -1, np.int64)
    for number, corners in enumerate(outer):
        paint(owner, corners, number)
    polygons = list(outer)
    for hole in loops:
        if area(hole) > 0:
            continue
        # The first side goes east, with the inside below.
        x, y = hole[0]
        number = int(owner[y, x])
        polygons[number] = with_hole(polygons[number], hole)
    return polygons


def with_hole(outline: Corners, hole: Corners) -> Corners:
    """Lead an outline to a hole, around it and back."""
    start = outline[-1]
    middle = np.array([[hole[0, 0], start[1]]])
    return np.concatenate([outline, middle, hole, hole[:1], middle, outline[-1:]])
