import numpy as np
import pytest

from wsss_mm.visualization import draw_cam, draw_mask, draw_tags, side_by_side

PALETTE = [[0, 0, 0], [200, 0, 0], [0, 200, 0]]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_mask_colours_are_blended_as_asked(image):
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[10, 20], mask[11, 21] = 2, 255
    panel = draw_mask(image, mask, PALETTE, alpha=0.25)
    expected = np.rint(0.75 * image[10, 20] + 0.25 * np.array([0, 200, 0]))
    assert np.array_equal(panel[10, 20], expected)
    expected = np.rint(0.75 * image[11, 21] + 0.25 * np.array([224, 224, 192]))
    assert np.array_equal(panel[11, 21], expected)
    assert np.array_equal(panel[0, 0], np.rint(0.875 * image[0, 0]))


def test_cam_runs_from_cold_to_hot():
    grey = np.full((1, 11, 3), 128, dtype=np.uint8)
    panel = draw_cam(grey, np.linspace(0, 1, 11)[None]).astype(int)
    warmth = panel[0, :, 0] - panel[0, :, 2]
    assert warmth[0] < 0 < warmth[-1]
    assert warmth.argmin() < warmth.argmax()


def test_cam_at_one_is_the_hottest_colour():
    black = np.zeros((1, 1, 3), dtype=np.uint8)
    assert draw_cam(black, np.ones((1, 1)), alpha=1.0).tolist() == [[[128, 0, 0]]]
    assert draw_cam(black, np.full((1, 1), 7.0), alpha=1.0).tolist() == [[[128, 0, 0]]]


def test_the_strongest_of_several_maps_is_shown(image):
    maps = np.random.default_rng(1).random((3, 40, 60))
    assert np.array_equal(draw_cam(image, maps), draw_cam(image, maps.max(axis=0)))
    cold = draw_cam(image, np.zeros((40, 60)))
    assert np.array_equal(draw_cam(image, maps[:0]), cold)


def test_tags_are_written_in_the_corner(image):
    panel = draw_tags(image, ['cat'])
    changed = (panel != image).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.max() < 20
    assert columns.max() < 40
    assert (panel[changed] > 200).all(axis=1).any()
    two = draw_tags(image, ['cat', 'dog'])
    assert np.nonzero((two != image).any(axis=2))[0].max() > rows.max()
    assert np.array_equal(draw_tags(image, []), image)


def test_rows_are_scaled_to_one_height(image):
    small = np.full((20, 10, 3), 9, dtype=np.uint8)
    row = side_by_side([image, small], gap=3)
    assert row.shape == (40, 60 + 3 + 20, 3)
    assert np.array_equal(row[:, :60], image)
    assert (row[:, 60:63] == 255).all()
    assert (row[:, 63:] == 9).all()
    assert side_by_side([image], height=20).shape == (20, 30, 3)


def test_inputs_are_left_alone(image):
    copy, cam, mask = image.copy(), np.full((40, 60), 2.0), np.ones((40, 60), int)
    for panel in (
        draw_cam(image, cam),
        draw_mask(image, mask, PALETTE),
        draw_tags(image, ['a']),
        side_by_side([image, image]),
    ):
        panel = panel.copy()
        panel[:] = 0
    assert np.array_equal(image, copy)
    assert (cam == 2).all()
    assert (mask == 1).all()


def test_bad_input_is_refused(image):
    with pytest.raises(ValueError, match='uint8 of shape'):
        draw_tags(image.astype(float), ['cat'])
    with pytest.raises(ValueError, match=r'CAM and image.*\(3, 4\) and \(40, 60\)'):
        draw_cam(image, np.zeros((3, 4)))
    with pytest.raises(ValueError, match='mask and image'):
        draw_mask(image, np.zeros((3, 4), int), PALETTE)
    with pytest.raises(ValueError, match='3 colours'):
        draw_mask(image, np.full((40, 60), 3), PALETTE)
    with pytest.raises(ValueError, match='at least one'):
        side_by_side([])
