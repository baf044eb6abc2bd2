"""Pixels of low scores are left out of a mask."""

import numpy as np
import pytest

from wsss_mm.refinement import IgnoreUnsure, Seed, seed_mask
from wsss_mm.utils.errors import InputError


def seed(scores, **more):
    scores = np.asarray(scores, np.float32)
    image = np.zeros((*scores.shape[1:], 3), np.uint8)
    return Seed(image, np.arange(len(scores) - 1), scores, **more)


def test_low_scores_are_left_out():
    given = seed([[[0.96, 0.5, 0.04, 0.05]], [[0.04, 0.5, 0.94, 0.95]]])
    done = IgnoreUnsure(confidence=0.95)(given)
    assert seed_mask(given).tolist() == [[0, 0, 1, 1]]
    # The confidence itself is enough, as in the released code of CLIP-ES.
    assert seed_mask(done).tolist() == [[0, 255, 255, 1]]
    assert done.scores is given.scores
    assert given.unsure is None


def test_an_image_without_classes():
    done = IgnoreUnsure(confidence=0.5)(seed([[[1.0, 1.0]]]))
    assert seed_mask(done).tolist() == [[0, 0]]


@pytest.mark.parametrize('confidence', [0, 1, 95, -1, float('nan')])
def test_no_confidence_is_refused(confidence):
    with pytest.raises(InputError, match='give one in'):
        IgnoreUnsure(confidence=confidence)


def test_marks_of_another_size_are_refused():
    with pytest.raises(InputError, match='unsure'):
        seed([[[1.0, 1.0]]], unsure=np.zeros((2, 2), bool))
