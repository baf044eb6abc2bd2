import numpy as np
import pytest
from matplotlib.path import Path

from wsss_mm.functional import decode_rle, fill_polygon


def star(rng, corners, size):
    """A polygon around the middle whose sides do not cross."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    lengths = rng.uniform(0.1, 0.7, corners)[:, None]
    height, width = size
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths
    return (around + 0.5) * [width, height]


def centres(size):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5


@pytest.mark.parametrize('size', [(23, 31), (40, 9)])
def test_centres_inside_are_filled(size):
    rng = np.random.default_rng(0)
    for corners in (3, 4, 7, 25):
        vertices = star(rng, corners, size)
        expected = Path(vertices).contains_points(centres(size)).reshape(size)
        assert np.array_equal(fill_polygon(vertices, size), expected)
        assert expected.any()
        again = fill_polygon(vertices[::-1], size)
        assert np.array_equal(again, expected)


def test_sides_that_cross_leave_a_hole():
    """Even-odd: the middle of a pentagram, wound twice, is outside."""
    angles = np.arange(5) * 4 * np.pi / 5
    pentagram = 50 + 45 * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    inside = fill_polygon(pentagram, (100, 100))
    assert not inside[50, 50]
    assert inside[20, 50]


def test_neighbours_share_no_pixel_and_leave_none_out():
    rng = np.random.default_rng(1)
    size = (17, 19)
    corners = np.array([[0, 0], [19, 0], [19, 17], [0, 17]], float)
    for meeting in (rng.uniform(2, 15, 2), np.array([7.5, 8.5]), np.array([9.0, 4.0])):
        parts = [
            fill_polygon([corners[i], corners[(i + 1) % 4], meeting], size)
            for i in range(4)
        ]
        assert (np.sum(parts, axis=0) == 1).all()


def test_a_polygon_beyond_the_image_is_cut():
    vertices = np.array([[-20, -7], [60.3, 3], [8, 55.1]])
    whole = fill_polygon(vertices + 30, (100, 100))[30:50, 30:45]
    assert np.array_equal(fill_polygon(vertices, (20, 15)), whole)
    assert fill_polygon([[-9e300, -9], [9e300, -9], [0, 9e300]], (4, 4)).all()
    assert not fill_polygon([[9, 9], [12, 9], [12, 12]], (4, 4)).any()
    assert not fill_polygon([[1, 1], [3, 1], [2, 1]], (4, 4)).any()


@pytest.mark.parametrize('vertices', [[[0, 0], [1, 1]], [[0, 0, 1]] * 3, [1, 2, 3]])
def test_no_polygon(vertices):
    with pytest.raises(ValueError, match='three or more corners'):
        fill_polygon(vertices, (4, 4))
    with pytest.raises(ValueError, match='not a finite number'):
        fill_polygon([[0, 0], [1, 1], [np.nan, 2]], (4, 4))


def runs_of(mask):
    """Count pixels down the columns in a plain loop."""
    runs, inside = [0], False
    for value in mask.T.ravel().tolist():
        if value != inside:
            runs.append(0)
            inside = value
        runs[-1] += 1
    return runs


def compress(runs):
    """COCO's text: five bits a character, differences from the third run on."""
    text = ''
    for i, run in enumerate(runs):
        value = run - (runs[i - 2] if i > 2 else 0)
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


@pytest.mark.parametrize('size', [(7, 5), (60, 70), (1, 1)])
def test_run_lengths(size):
    rng = np.random.default_rng(2)
    for share in (0, 0.02, 0.5, 1):
        mask = rng.random(size) < share
        runs = runs_of(mask)
        assert np.array_equal(decode_rle(runs, size), mask)
        assert np.array_equal(decode_rle(compress(runs), size), mask)


@pytest.mark.parametrize(
    'counts, match',
    [
        ([3], 'have 3 pixels, but 2 x 2'),
        ([2**60, 2], 'pixels, but 2 x 2'),
        ([5, -1], 'not a whole number'),
        ([3.0, 1], 'not a whole number'),
        ('4 ', "' ' does not continue"),
        ('4' + chr(48 + 63), 'break off'),
        (chr(48 + 63) * 40, 'does not continue'),
    ],
)
def test_malformed_run_lengths(counts, match):
    with pytest.raises(ValueError, match=match):
        decode_rle(counts, (2, 2))
