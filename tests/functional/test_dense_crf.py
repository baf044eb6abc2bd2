"""Dense CRF: against mean field in plain sums, its parameter sets and refusals."""

import builtins

import numpy as np
import pytest

from wsss_mm.functional.dense_crf import (
    CRF_PARAMETERS,
    CRFParameters,
    dense_crf,
    dense_crf_all,
    label_unary,
    soft_unary,
)


@pytest.fixture
def needs_crf():
    pytest.importorskip('pydensecrf', reason='pip install -r requirements/crf.txt')


def draw(size=(10, 12), labels=3, *, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return image, soft_unary(rng.random((labels, *size)))


def kernel(features):
    difference = features[:, None] - features[None]
    weights = np.exp(-0.5 * (difference**2).sum(axis=2))
    scale = 1 / np.sqrt(weights.sum(axis=1) + 1e-20)
    return scale[:, None] * weights * scale


def plain_mean_field(image, unary, parameters):
    """The definition: every pixel is compared with every other."""
    labels, height, width = unary.shape
    y, x = np.divmod(np.arange(height * width), width)
    place = np.stack([x, y], axis=1).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    bilateral = [place / parameters.bilateral_sxy, colour / parameters.bilateral_srgb]
    kernels = [
        (parameters.gaussian_compat, kernel(place / parameters.gaussian_sxy)),
        (parameters.bilateral_compat, kernel(np.concatenate(bilateral, axis=1))),
    ]
    energy = unary.reshape(labels, -1).astype(float)
    message = np.zeros_like(energy)
    for step in range(parameters.iterations + 1):
        logits = message - energy
        beliefs = np.exp(logits - logits.max(axis=0))
        beliefs /= beliefs.sum(axis=0)
        if step == parameters.iterations:
            return beliefs.reshape(unary.shape)
        message = sum(weight * beliefs @ matrix for weight, matrix in kernels)
    raise AssertionError


def smooth_image(size=(16, 20)):
    """Two flat halves with a little noise, so that the lattice is near exact."""
    rng = np.random.default_rng(0)
    image = np.full((*size, 3), 60, dtype=np.uint8)
    image[:, size[1] // 2 :] = 180
    return image + rng.integers(0, 5, image.shape, dtype=np.uint8)


@pytest.mark.parametrize('iterations', [0, 1, 5])
def test_follows_plain_mean_field(needs_crf, iterations):
    image = smooth_image()
    rng = np.random.default_rng(1)
    scores = rng.random((3, *image.shape[:2])) * 0.4 + 0.1
    scores[1, :, 12:] += 0.3
    unary = soft_unary(scores)
    parameters = CRFParameters(
        iterations, gaussian_compat=0.3, bilateral_sxy=10, bilateral_compat=0.5
    )
    found = dense_crf(image, unary, parameters)
    expected = plain_mean_field(image, unary, parameters)
    # The permutohedral lattice approximates the kernels; without it they are equal.
    tolerance = 1e-6 if iterations == 0 else 0.05
    assert np.abs(found - expected).max() < tolerance
    if iterations:
        start = plain_mean_field(
            image, unary, CRFParameters(0, gaussian_compat=0.3, bilateral_compat=0.5)
        )
        moved = np.abs(expected - start).max()
        assert np.abs(found - expected).max() < moved / 4


def test_labels_stop_at_the_edge_of_colours(needs_crf):
    image = smooth_image((24, 30))
    scores = np.full((2, 24, 30), 0.5)
    scores[1, 10:14, 3:6] = 0.95  # a seed in the left half
    scores[0, 10:14, 24:27] = 0.95  # background seed in the right half
    mask = dense_crf(image, soft_unary(scores), CRF_PARAMETERS['soft']).argmax(axis=0)
    assert (mask[:, :15] == 1).mean() > 0.95
    assert (mask[:, 15:] == 0).mean() > 0.95


def test_unaries_that_share_a_lattice_equal_separate_calls(needs_crf):
    image, first = draw(seed=1)
    second = draw(seed=2)[1]
    kept = image.copy(), first.copy()
    shared = dense_crf_all(image, [first, second, first], CRF_PARAMETERS['soft'])
    for found, unary in zip(shared, (first, second, first)):
        alone = dense_crf(image, unary, CRF_PARAMETERS['soft'])
        assert (found == alone).all()
        np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)
    assert not (shared[0] == shared[1]).all()
    assert (image == kept[0]).all()
    assert (first == kept[1]).all()


def test_read_only_and_strided_inputs(needs_crf):
    image, unary = draw()
    expected = dense_crf(image, unary, CRF_PARAMETERS['soft1'])
    image.setflags(write=False)
    mirrored = dense_crf(
        np.ascontiguousarray(image[:, ::-1])[:, ::-1], unary, CRF_PARAMETERS['soft1']
    )
    assert (mirrored == expected).all()


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (3, 2)])
def test_tiny_images(needs_crf, size):
    image, unary = draw(size)
    found = dense_crf(image, unary, CRF_PARAMETERS['soft'])
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)


def test_one_label_is_certain():
    image, unary = draw(labels=1)
    assert (dense_crf(image, unary, CRF_PARAMETERS['soft']) == 1).all()
    assert dense_crf_all(image, [], CRF_PARAMETERS['soft']) == []


def test_parameter_sets_are_the_published_ones():
    rows = {
        name: (
            *(p.iterations, p.gaussian_sxy, p.gaussian_compat),
            *(p.bilateral_sxy, p.bilateral_srgb, p.bilateral_compat),
        )
        for name, p in CRF_PARAMETERS.items()
    }
    assert rows == {
        'soft': (10, 3, 3, 80, 13, 10),
        'soft1': (1, 3, 3, 80, 13, 10),
        'retrain': (1, 3, 3, 32, 13, 10),
        'label': (10, 3, 3, 50, 5, 10),
        'label1': (1, 3, 3, 50, 5, 10),
    }
    smaller = CRF_PARAMETERS['soft'].scaled(2)
    assert (smaller.gaussian_sxy, smaller.bilateral_sxy) == (1.5, 40)
    assert smaller.bilateral_srgb == 13


def test_unaries_are_logarithms():
    scores = np.array([[[0.25, 3.0]], [[1e-9, -2.0]]])
    expected = [[[-np.log(0.25), 0.0]], [[-np.log(1e-5), -np.log(1e-5)]]]
    np.testing.assert_allclose(soft_unary(scores), expected, rtol=1e-6)
    labels = np.array([[2, 0]])
    found = label_unary(labels, 3)
    for k in range(3):
        for i, label in enumerate(labels[0]):
            share = 0.7 if k == label else 0.15
            assert found[k, 0, i] == pytest.approx(-np.log(share), rel=1e-6)


def test_bad_input_is_refused(needs_crf):
    image, unary = draw()
    with pytest.raises(ValueError, match='uint8 RGB'):
        dense_crf(image.astype(float), unary, CRF_PARAMETERS['soft'])
    with pytest.raises(ValueError, match='of an image'):
        dense_crf(image[1:], unary, CRF_PARAMETERS['soft'])
    with pytest.raises(ValueError, match='must be finite'):
        dense_crf(image, unary * np.nan, CRF_PARAMETERS['soft'])
    with pytest.raises(ValueError, match='equally many labels'):
        dense_crf_all(image, [unary, unary[1:]], CRF_PARAMETERS['soft'])
    with pytest.raises(ValueError, match='finite maps'):
        soft_unary(np.full((2, 3, 3), np.inf))
    with pytest.raises(ValueError, match=r'must be in 0\.\.1'):
        label_unary(np.array([[2]]), 2)
    with pytest.raises(ValueError, match='at least 2'):
        label_unary(np.array([[0]]), 1)
    with pytest.raises(ValueError, match='iterations'):
        CRFParameters(-1)
    with pytest.raises(ValueError, match='reach'):
        CRFParameters(1, bilateral_srgb=0)


def test_a_missing_module_gives_the_command(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args):
        if name.startswith('pydensecrf'):
            raise ImportError(name)
        return load(name, *args)

    monkeypatch.setattr(builtins, '__import__', refuse)
    image, unary = draw()
    with pytest.raises(ValueError, match='pip install -r requirements/crf'):
        dense_crf(image, unary, CRF_PARAMETERS['soft'])
