"""Walks: the refiners do not care which affinity it is; SEAM's CRF on padded images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional import random_walk, transition_matrix
from wsss_mm.functional.dense_crf import crf_parameters, dense_crf, soft_unary
from wsss_mm.refinement import (
    DenseAffinity,
    DenseCRFRefiner,
    EdgeAffinity,
    LocalAffinity,
    RandomWalkRefiner,
    Seed,
    WalkCRFRefiner,
)
from wsss_mm.refinement.walk import MEAN_COLOUR
from wsss_mm.utils.errors import InputError

OFFSETS = ((0, 1), (1, 0), (1, 1))


def draw(height, width, stride=4, classes=(1, 4)):
    rng = np.random.default_rng(0)
    cells = (-(-height // stride), -(-width // stride))
    weights = torch.from_numpy(rng.random((3, *cells))).float()
    scores = rng.random((1 + len(classes), height, width)).astype(np.float32)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    affinity = LocalAffinity(weights, OFFSETS, stride)
    return Seed(image, np.array(classes), scores, affinity)


def test_a_dense_matrix_walks_as_the_pairs_it_is_made_of():
    seed = draw(12, 20)
    local = seed.affinity.walking(beta=3, steps=8)
    matrix = transition_matrix(local.weights, OFFSETS, beta=3)
    scores = torch.rand(2, *local.size)
    expected = random_walk(scores, local.weights, OFFSETS, beta=3, steps=8)
    torch.testing.assert_close(local.propagate(scores), expected)
    dense = DenseAffinity(matrix.T, local.size, 4, steps=8)
    torch.testing.assert_close(dense.propagate(scores), expected)


def test_a_dense_matrix_is_linear_and_leaves_the_scores_alone():
    dense = DenseAffinity(torch.rand(6, 6), (2, 3), 8, beta=2, steps=3)
    one, two = torch.rand(2, 1, 2, 3)
    before = one.clone()
    both = dense.propagate(one + 2 * two)
    torch.testing.assert_close(both, dense.propagate(one) + 2 * dense.propagate(two))
    assert torch.equal(one, before)
    # With beta the rows sum to one: what is the same everywhere stays.
    torch.testing.assert_close(
        dense.propagate(torch.ones(1, 2, 3)), torch.ones(1, 2, 3)
    )


def test_matrices_and_edges_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r'cells must have the shape \(6, 6\)'):
        DenseAffinity(torch.rand(5, 5), (2, 3), 8)
    local = draw(12, 20).affinity
    with pytest.raises(InputError, match='edge must have the shape'):
        EdgeAffinity(local.weights, OFFSETS, 4, torch.rand(2, 2))


def test_a_refiner_takes_any_affinity():
    seed = draw(9, 14)
    cells = seed.affinity.size
    count = cells[0] * cells[1]
    still = DenseAffinity(torch.eye(count), cells, 4)
    walked = RandomWalkRefiner(beta=1, steps=5)(replace(seed, affinity=still))
    means = F.avg_pool2d(F.pad(torch.from_numpy(seed.scores), (0, 2, 0, 3)), 4)
    large = F.interpolate(means[None], scale_factor=4, mode='bilinear')[0]
    np.testing.assert_allclose(walked.scores, large[:, :9, :14].numpy(), atol=1e-6)


def test_crf_on_the_padded_image_with_absent_classes():
    pytest.importorskip('pydensecrf', reason='needs a compiled pydensecrf')
    seed = draw(9, 14)
    refined = WalkCRFRefiner(beta=2, steps=4, parameters='soft1', num_labels=7)(seed)
    # By hand: whole cells, mean colour, all seven labels, cut in the end.
    means = F.avg_pool2d(F.pad(torch.from_numpy(seed.scores), (0, 2, 0, 3)), 4)
    walked = random_walk(means, seed.affinity.weights, OFFSETS, beta=2, steps=4)
    large = F.interpolate(walked[None], scale_factor=4, mode='bilinear')[0].numpy()
    scores = np.concatenate([large, np.zeros((4, 12, 16), np.float32)])
    image = np.full((12, 16, 3), MEAN_COLOUR, np.uint8)
    image[:9, :14] = seed.image
    aligned = dense_crf(image, soft_unary(scores), crf_parameters('soft1'))
    np.testing.assert_allclose(refined.scores, aligned[:3, :9, :14], atol=1e-6)


def test_without_padding_and_absent_classes_it_is_walk_and_crf():
    pytest.importorskip('pydensecrf', reason='needs a compiled pydensecrf')
    seed = draw(12, 16)
    refined = WalkCRFRefiner(beta=2, steps=4, num_labels=6)(seed)
    walked = RandomWalkRefiner(beta=2, steps=4)(seed)
    both = DenseCRFRefiner(parameters='soft1')(walked)
    assert (refined.scores.argmax(0) == both.scores.argmax(0)).mean() > 0.95


def test_bad_numbers_of_labels_are_refused():
    with pytest.raises(InputError, match=r'num_labels=5'):
        WalkCRFRefiner(beta=2, steps=4, num_labels=5)(draw(12, 16))
    with pytest.raises(InputError, match='num_labels must be whole and at least 2'):
        WalkCRFRefiner(beta=2, steps=4, num_labels=1)
