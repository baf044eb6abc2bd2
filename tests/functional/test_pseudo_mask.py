import numpy as np
import pytest

from wsss_mm.functional import cam_to_mask


def by_pixel(maps, classes, threshold, num_classes=21):
    """SEAM's evaluation: argmax over [threshold, all class maps], first wins."""
    out = np.zeros(maps.shape[1:], dtype=np.uint8)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            scores = [np.float32(threshold)] + [np.float32(0)] * (num_classes - 1)
            for index, value in zip(classes, maps[:, y, x]):
                scores[index + 1] = np.float32(value)
            best = 0
            for index, score in enumerate(scores):
                if score > scores[best]:
                    best = index
            out[y, x] = best
    return out


@pytest.fixture
def maps():
    # Steps of 0.05 make ties and equality with the thresholds common.
    rng = np.random.default_rng(0)
    return (rng.integers(-2, 21, size=(3, 12, 15)) * 0.05).astype(np.float32)


@pytest.mark.parametrize('threshold', [0.0, 0.05, 0.25, 0.3, 0.55, 1.0])
def test_equals_the_definition(maps, threshold):
    classes = np.array([0, 7, 19])
    out = cam_to_mask(maps, classes, threshold=threshold)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, by_pixel(maps, classes, threshold))


def test_background_wins_at_equality_in_float32():
    maps = np.array([[[0.3, np.nextafter(np.float32(0.3), np.float32(1))]]])
    assert cam_to_mask(maps, [4], threshold=0.3).tolist() == [[0, 5]]
    # As a double, 0.45 is more than the float32 it is rounded to.
    assert cam_to_mask(np.full((1, 1, 1), 0.45), [4], threshold=0.45) == 0


def test_the_lowest_class_wins_a_tie():
    maps = np.full((2, 1, 1), 0.5)
    assert cam_to_mask(maps, [3, 9], threshold=0.1).tolist() == [[4]]


def test_without_classes_all_is_background():
    maps = np.zeros((0, 2, 3), dtype=np.float32)
    out = cam_to_mask(maps, np.zeros(0, dtype=np.int64), threshold=0.0)
    assert out.dtype == np.uint8
    assert out.tolist() == [[0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(cam_to_mask(maps, [], threshold=0.0), out)


def test_a_higher_threshold_only_adds_background(maps):
    low = cam_to_mask(maps, [1, 2, 3], threshold=0.2)
    high = cam_to_mask(maps, [1, 2, 3], threshold=0.4)
    assert (high == 0).sum() > (low == 0).sum()
    np.testing.assert_array_equal(high, np.where(high > 0, low, 0))


def test_half_precision_files_are_read_as_they_are():
    maps = np.array([[[0.25]]], dtype=np.float16)
    assert cam_to_mask(maps, [0], threshold=0.25).tolist() == [[0]]
    assert cam_to_mask(maps, [0], threshold=0.2499).tolist() == [[1]]


def test_the_largest_class_stays_below_the_ignore_index():
    assert cam_to_mask(np.ones((1, 1, 1)), [253], threshold=0.5).tolist() == [[254]]


def test_inputs_are_left_alone(maps):
    copy, classes = maps.copy(), np.array([1, 2, 3])
    cam_to_mask(maps, classes, threshold=0.2)
    np.testing.assert_array_equal(maps, copy)
    assert classes.tolist() == [1, 2, 3]


@pytest.mark.parametrize('threshold', [-0.1, np.nan, np.inf])
def test_impossible_thresholds_are_refused(maps, threshold):
    with pytest.raises(ValueError, match='threshold must be a number >= 0'):
        cam_to_mask(maps, [0, 1, 2], threshold=threshold)


@pytest.mark.parametrize(
    'classes, message',
    [
        ([0, 1], r'maps must have the shape \(n, H, W\)'),
        ([0, 2, 1], 'must be ascending'),
        ([0, 1, 1], 'must be ascending'),
        ([-1, 0, 1], r'integers in 0\.\.253'),
        ([0, 1, 254], r'integers in 0\.\.253'),
        ([0.0, 1.0, 2.0], r'integers in 0\.\.253'),
    ],
)
def test_wrong_classes_are_refused(maps, classes, message):
    with pytest.raises(ValueError, match=message):
        cam_to_mask(maps, classes, threshold=0.2)


def test_wrong_maps_are_refused(maps):
    with pytest.raises(ValueError, match='maps must have the shape'):
        cam_to_mask(maps[0], [0], threshold=0.2)
    maps[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match='must be finite'):
        cam_to_mask(maps, [0, 1, 2], threshold=0.2)
