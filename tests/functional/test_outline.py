import numpy as np
import pytest

from wsss_mm.functional import (
    decode_rle,
    encode_rle,
    fill_polygon,
    keyholed_outlines,
    layered_regions,
    trace_outlines,
)
from wsss_mm.functional.outline import area, paint


def random_masks(count, values):
    """Specks, and blocks that touch at corners."""
    rng = np.random.default_rng(0)
    for number in range(count):
        mask = rng.integers(0, values, rng.integers(1, 12, 2))
        yield np.kron(mask, np.ones((2, 2), int)) if number % 3 == 0 else mask


def ring(size):
    """A ring with a dot in its hole, and a ring that closes at a corner alone."""
    mask = np.zeros((size, size), int)
    mask[1:-1, 1:-1] = 1
    mask[3:-3, 3:-3] = 0
    mask[4, 4] = 2
    mask[1, 1] = 0
    return mask


MASKS = [*random_masks(60, 4), ring(9), np.zeros((3, 4), int), np.full((1, 1), 255)]


def test_regions_painted_in_order_give_the_mask():
    for mask in MASKS:
        canvas = np.zeros_like(mask)
        before = mask.copy()
        for region in layered_regions(mask):
            assert paint(canvas, region.corners, region.value)
        np.testing.assert_array_equal(canvas, mask)
        np.testing.assert_array_equal(mask, before)


def test_background_is_a_region_in_holes_alone():
    assert [region.value for region in layered_regions(ring(9))] == [1, 0, 2]
    assert layered_regions(np.zeros((3, 3), int)) == []


def test_polygons_with_their_holes_share_no_pixel_and_leave_none_out():
    for mask in MASKS:
        inside = mask == 1
        total = np.zeros(mask.shape, int)
        for polygon in keyholed_outlines(inside):
            total += fill_polygon(polygon, mask.shape)
        np.testing.assert_array_equal(total, inside)


def test_run_lengths_are_those_that_are_decoded():
    for mask in MASKS:
        runs = encode_rle(mask == 1)
        assert sum(runs) == mask.size
        assert all(run > 0 for run in runs[1:])
        np.testing.assert_array_equal(decode_rle(runs, mask.shape), mask == 1)


def test_outlines_have_corners_only_and_holes_turn_the_other_way():
    found = trace_outlines(ring(9) == 1)
    outer, hole = sorted(found, key=area, reverse=True)
    assert area(outer) + area(hole) == (ring(9) == 1).sum()
    assert area(hole) == -9
    assert sorted(hole.tolist()) == [[3, 3], [3, 6], [6, 3], [6, 6]]
    assert len(outer) == 6  # a square without one corner


@pytest.mark.parametrize('joined', [True, False])
def test_pixels_that_touch_at_a_corner_are_apart(joined):
    inside = np.array([[True, joined], [False, True]])
    assert len(trace_outlines(inside)) == (1 if joined else 2)
