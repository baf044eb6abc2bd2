import pickle

import numpy as np
import pytest
import torch

from wsss_mm.functional import par
from wsss_mm.refinement import PARRefiner, Seed, seed_mask
from wsss_mm.registry import TASK_UTILS


@pytest.fixture
def seed():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 14, 3), dtype=np.uint8)
    return Seed(image, np.array([1, 4]), rng.random((3, 9, 14)).astype(np.float32))


def test_it_is_its_function_without_the_growth(seed):
    before = seed.scores.copy()
    config = dict(type='PARRefiner', dilations=(1, 2), iterations=3)
    refiner = TASK_UTILS.build(config)
    out = refiner(seed)
    image = torch.from_numpy(seed.image).permute(2, 0, 1)[None] / 255
    scores = torch.from_numpy(seed.scores)[None]
    expected = par(image, scores, dilations=(1, 2), iterations=3)[0]
    torch.testing.assert_close(torch.from_numpy(out.scores), expected / 1.01**3)
    np.testing.assert_array_equal(seed_mask(out) == 0, expected.argmax(dim=0) == 0)
    np.testing.assert_array_equal(seed.scores, before)
    assert out.scores.max() <= before.max()
    assert pickle.loads(pickle.dumps(refiner)) == refiner


def test_a_speck_is_gone_and_an_empty_image_stays_empty(seed):
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 200
    scores = np.zeros((2, 20, 20), np.float32)
    scores[0, :, :10] = scores[1, :, 10:] = 1
    scores[:, 5, 5] = 0, 1  # within the background
    cleaned = seed_mask(PARRefiner()(Seed(image, np.array([3]), scores)))
    expected = np.zeros((20, 20), np.uint8)
    expected[:, 10:] = 4
    np.testing.assert_array_equal(cleaned, expected)
    empty = Seed(seed.image, seed.classes[:0], np.zeros((1, 9, 14), np.float32))
    assert not seed_mask(PARRefiner()(empty)).any()
