import io

import numpy as np
import pytest
from PIL import Image

from wsss_mm.visualization import cam_layer, key_colours, mask_layer, photograph
from wsss_mm.visualization.layers import shown_size

COLOURS = key_colours(4)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert('RGBA'))


@pytest.fixture
def mask():
    made = np.zeros((40, 60), np.uint8)
    made[10:30, 10:30] = 2
    made[10:30, 30:50] = 3
    made[0:3] = 255
    return made


def test_a_mask_is_filled_outlined_and_framed(mask):
    before = mask.copy()
    shown = pixels(mask_layer(mask, COLOURS))
    assert np.array_equal(mask, before)
    assert shown.shape == (40, 60, 4)
    assert shown[20, 20].tolist() == [*COLOURS[2], 120]
    assert shown[20, 40].tolist() == [*COLOURS[3], 120]
    assert shown[20, 10].tolist() == [*COLOURS[2], 255]  # outline
    assert shown[20, 29].tolist() == [*COLOURS[2], 255]  # between two classes
    assert shown[20, 9].tolist() == [255, 255, 255, 255]  # around both
    assert shown[20, 5, 3] == 0
    assert shown[1, 1].tolist() == [190, 190, 190, 150]


def test_the_frame_is_one_pixel_around_the_foreground(mask):
    shown = pixels(mask_layer(mask, COLOURS))
    frame = (shown == 255).all(axis=2)
    expected = np.zeros((40, 60), bool)
    for y in range(40):
        for x in range(60):
            near = [(y, x - 1), (y, x + 1), (y - 1, x), (y + 1, x)]
            inside = [mask[p] in (2, 3) for p in near if 0 <= p[0] < 40 and p[1] < 60]
            expected[y, x] = mask[y, x] in (0, 255) and any(inside)
    assert np.array_equal(frame, expected)


def test_masks_without_foreground_are_clear():
    assert (pixels(mask_layer(np.zeros((5, 7), np.uint8), COLOURS))[..., 3] == 0).all()


def test_a_cam_grows_hotter_and_denser_and_is_outlined():
    cam = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    shown = pixels(cam_layer(cam))[20].astype(int)
    assert (np.diff(shown[:, 3]) >= 0).all()
    assert shown[0, 3] < 50
    assert shown[-1, :3].tolist() == [128, 0, 0]
    line = pixels(cam_layer(cam, threshold=0.5))[20]
    (white,) = np.flatnonzero((line == 255).all(axis=1))
    assert cam[0, white] > 0.5 >= cam[0, white - 1]


def test_cams_that_are_no_numbers_are_cold():
    assert pixels(cam_layer(np.full((4, 4), np.nan)))[..., 3].max() < 50


def test_pictures_are_thumbnails_and_never_enlarged():
    assert shown_size(1000, 500, side=400) == (400, 200)
    assert shown_size(30, 50) == (30, 50)
    assert shown_size(4000, 1) == (400, 1)
    big = np.zeros((600, 900, 3), np.uint8)
    with Image.open(io.BytesIO(photograph(big))) as picture:
        assert picture.size == (400, 267)
    assert pixels(mask_layer(np.zeros((600, 900)), COLOURS)).shape == (267, 400, 4)
    assert pixels(cam_layer(np.zeros((600, 900)))).shape == (267, 400, 4)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='uint8 of shape'):
        photograph(np.zeros((3, 3, 3)))
    with pytest.raises(ValueError, match='4 colours'):
        mask_layer(np.full((3, 3), 4), COLOURS)
