import numpy as np
import pytest
from smooth_refiner import SmoothRefiner, smooth

from wsss_mm.refinement import Seed


def test_smoothing_keeps_sums_and_constants():
    scores = np.zeros((2, 31, 41), np.float32)
    scores[0, 15, 20], scores[1] = 1, 0.25
    result = smooth(scores, 2.0)
    # The middle of a Gaussian of 2 pixels has 1 / (2 pi 2^2) of the whole.
    assert result[0, 15, 20] == pytest.approx(0.0398, abs=5e-4)
    assert result[0].sum() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(result[1], 0.25, rtol=1e-5)


def test_the_refiner_is_its_function():
    scores = np.random.default_rng(0).random((3, 20, 30), np.float32)
    image = np.zeros((20, 30, 3), np.uint8)
    seed = Seed(image, np.array([1, 4]), scores.copy())
    refined = SmoothRefiner(sigma=1.5)(seed)
    np.testing.assert_array_equal(refined.scores, smooth(scores, 1.5))
    np.testing.assert_array_equal(seed.scores, scores)


def test_a_sigma_of_zero_is_refused():
    with pytest.raises(ValueError, match='sigma must be positive, got 0'):
        SmoothRefiner(sigma=0)
