import numpy as np
import pytest

from wsss_mm.functional.background import (
    power_background,
    seed_scores,
    threshold_background,
)
from wsss_mm.functional.dense_crf import crf_parameters, dense_crf, soft_unary


@pytest.fixture
def cams():
    rng = np.random.default_rng(0)
    return rng.uniform(-0.01, 1, (2, 7, 9)).astype(np.float32)


@pytest.mark.parametrize('alpha', [0.5, 4, 24])
def test_power_background_by_pixel(cams, alpha):
    scores = power_background(cams, alpha)
    assert scores.dtype == np.float32
    for y in range(7):
        for x in range(9):
            strongest = max(cams[0, y, x], cams[1, y, x])
            assert scores[y, x] == pytest.approx((1 - strongest) ** alpha, rel=1e-5)


def test_nothing_active_is_background():
    assert power_background(np.zeros((0, 2, 3)), 4).tolist() == [[1.0] * 3] * 2
    assert power_background(np.zeros((3, 2, 3)), 4).tolist() == [[1.0] * 3] * 2
    # A value above one has no real power.
    assert power_background(np.full((1, 1, 1), 1.25), 0.5).tolist() == [[0.0]]


def test_a_higher_alpha_leaves_less_background(cams):
    assert (power_background(cams, 24) <= power_background(cams.clip(0), 4)).all()


def test_the_threshold_is_everywhere(cams):
    assert threshold_background(cams, 0.25).tolist() == [[0.25] * 9] * 7


def test_bad_input_is_refused(cams):
    with pytest.raises(ValueError, match='alpha must be a positive number, got 0'):
        power_background(cams, 0)
    with pytest.raises(ValueError, match='cams must be finite'):
        power_background(cams * np.nan, 4)
    with pytest.raises(ValueError, match=r'shape \(n, H, W\), got \(7, 9\)'):
        threshold_background(cams[0], 0.3)
    with pytest.raises(ValueError, match='threshold must be a number >= 0, got -1'):
        threshold_background(cams, -1)
    image = np.zeros((7, 9, 3), np.uint8)
    with pytest.raises(ValueError, match='low_alpha < high_alpha must hold, got 4 and'):
        seed_scores(image, cams, crf_parameters('soft'), low_alpha=4, high_alpha=4)


def test_seed_scores_are_two_crfs(cams):
    pytest.importorskip('pydensecrf', reason='needs a compiled pydensecrf')
    image = np.random.default_rng(1).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    parameters = crf_parameters('soft')
    before = cams.copy()
    pair = seed_scores(image, cams, parameters, low_alpha=4, high_alpha=24)
    for scores, alpha in zip(pair, (4, 24)):
        background = (1 - cams.max(axis=0, keepdims=True)) ** alpha
        unary = soft_unary(np.concatenate([background, cams]))
        expected = dense_crf(image, unary, parameters)
        np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert (pair[0][0] - pair[1][0]).max() > 0.01
    np.testing.assert_array_equal(cams, before)


def test_seed_scores_of_an_image_without_tags():
    image = np.zeros((3, 4, 3), np.uint8)
    none = np.zeros((0, 3, 4), np.float32)
    pair = seed_scores(image, none, crf_parameters('soft'), low_alpha=4, high_alpha=32)
    assert [scores.tolist() for scores in pair] == [[[[1.0] * 4] * 3]] * 2
