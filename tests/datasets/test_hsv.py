import colorsys

import numpy as np
import pytest

from wsss_mm.datasets.transforms.hsv import RandomHSVShift, shift_hsv
from wsss_mm.registry import TRANSFORMS


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def slow_shift(pixel, shift):
    """One pixel by the standard library, on OpenCV's steps."""
    h, s, v = colorsys.rgb_to_hsv(*(pixel / 255.0))
    h = (round(h * 180) + shift[0]) % 180
    s = min(max(round(s * 255) + shift[1], 0), 255)
    v = min(max(round(v * 255) + shift[2], 0), 255)
    return np.array(colorsys.hsv_to_rgb(h / 180, s / 255, v / 255)) * 255


@pytest.mark.parametrize('shift', [(10, -10, 7), (-10, 10, -10), (3, 0, 0)])
def test_shift_agrees_with_the_standard_library(image, shift):
    before = image.copy()
    shifted = shift_hsv(image, shift)
    expected = np.array([[slow_shift(p, shift) for p in row] for row in image])
    # Both round hue to two degrees, which may differ by one step on a tie.
    assert np.abs(shifted - expected).max() <= 9
    assert np.abs(shifted - expected).mean() < 0.7
    assert np.array_equal(image, before)


def test_hue_wraps_and_the_others_are_clipped():
    red = np.array([[[255, 0, 0]]], dtype=np.uint8)
    assert shift_hsv(red, (60, 0, 0)).tolist() == [[[0, 255, 0]]]
    assert shift_hsv(red, (-60, 0, 0)).tolist() == [[[0, 0, 255]]]
    assert shift_hsv(red, (180, 10, 10)).tolist() == red.tolist()
    black = np.zeros((1, 1, 3), dtype=np.uint8)
    assert shift_hsv(black, (0, 0, -10)).tolist() == black.tolist()


def test_draws_cover_the_limits_and_leave_the_rest(image, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        'wsss_mm.datasets.transforms.hsv.shift_hsv',
        lambda image, shift: drawn.append(shift) or image,
    )
    np.random.seed(0)  # noqa: NPY002
    jitter = TRANSFORMS.build(dict(type='RandomHSVShift', hue=2, saturation=1, value=0))
    mask = np.ones((5, 7), dtype=np.uint8)
    for _ in range(200):
        results = jitter(dict(img=image, gt_seg_map=mask))
    hues, saturations, values = (set(column) for column in zip(*drawn))
    assert hues == {-2, -1, 0, 1, 2}
    assert saturations == {-1, 0, 1}
    assert values == {0}
    assert results['gt_seg_map'] is mask


def test_the_transform_shifts_the_image(image):
    np.random.seed(3)  # noqa: NPY002
    results = RandomHSVShift(hue=10, saturation=10, value=10)(dict(img=image))
    np.random.seed(3)  # noqa: NPY002
    shift = tuple(np.random.randint(-10, 11) for _ in range(3))  # noqa: NPY002
    assert np.array_equal(results['img'], shift_hsv(image, shift))


def test_bad_input_is_refused(image):
    with pytest.raises(ValueError, match=r'hue=-1.*whole numbers from 0'):
        RandomHSVShift(hue=-1)
    with pytest.raises(ValueError, match=r'float32.*NormalizeFloat behind'):
        shift_hsv(image.astype(np.float32), (1, 1, 1))
