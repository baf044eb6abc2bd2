import builtins

import numpy as np
import pytest

from wsss_mm.functional.dense_crf import (
    CRF_PARAMETERS,
    CRFParameters,
    crf_parameters,
    dense_crf,
    dense_crf_joint,
    dense_crf_shared,
    label_unary,
    soft_unary,
)

# What the lattice leaves of the exact kernels on the picture below.
TOLERANCE = 0.01
SOFT = crf_parameters('soft')


@pytest.fixture
def compiled():
    pytest.importorskip('pydensecrf', reason='needs a compiled pydensecrf')


@pytest.fixture
def picture():
    """Two flat halves with noise, and scores that blur the border between them."""
    rng = np.random.default_rng(0)
    image = np.full((12, 14, 3), 60)
    image[:, 7:] = (150, 120, 60)
    image = np.clip(image + rng.integers(-4, 5, image.shape), 0, 255).astype(np.uint8)
    ramp = np.linspace(0.15, 0.85, 14, dtype=np.float32)
    scores = np.stack([1 - ramp, ramp, ramp * 0.3])[:, None].repeat(12, axis=1)
    scores += rng.normal(0, 0.1, scores.shape).astype(np.float32)
    return image, np.clip(scores, 0.01, None)


def brute_force(image, unary, parameters):
    """Mean field with the whole matrix of every kernel, in double precision."""
    labels, height, width = unary.shape
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(float)
    colour = image.reshape(-1, 3) / parameters.bilateral_srgb
    kernels = []
    for features, compat in (
        (np.stack([x, y], 1) / parameters.gaussian_sxy, parameters.gaussian_compat),
        (
            np.c_[np.stack([x, y], 1) / parameters.bilateral_sxy, colour],
            parameters.bilateral_compat,
        ),
    ):
        distance = ((features[:, None] - features[None]) ** 2).sum(axis=2)
        kernel = np.exp(-0.5 * distance)
        root = np.sqrt(kernel.sum(axis=1))
        kernels.append(compat * kernel / root[:, None] / root)
    negative = -unary.reshape(labels, -1).astype(float)

    def softmax(energy):
        power = np.exp(energy - energy.max(axis=0))
        return power / power.sum(axis=0)

    q = softmax(negative)
    for _ in range(parameters.iterations):
        q = softmax(negative + sum(q @ kernel for kernel in kernels))
    return q.reshape(unary.shape)


def error(first, second):
    return np.abs(first - second).mean()


@pytest.mark.usefixtures('compiled')
@pytest.mark.parametrize('name', CRF_PARAMETERS)
def test_close_to_the_definition(picture, name):
    image, scores = picture
    parameters = CRF_PARAMETERS[name]
    unary = soft_unary(scores)
    ours = dense_crf(image, unary, parameters)
    exact = brute_force(image, unary, parameters)
    assert error(ours, exact) < TOLERANCE
    assert error(scores / scores.sum(axis=0), exact) > 10 * TOLERANCE
    assert ours.argmax(axis=0).tolist() == exact.argmax(axis=0).tolist()


@pytest.mark.usefixtures('compiled')
@pytest.mark.parametrize(
    'change',
    [
        dict(gaussian_sxy=1.0),
        dict(gaussian_compat=0.0),
        dict(bilateral_sxy=2.0),
        dict(bilateral_srgb=130.0),
        dict(bilateral_compat=3.0),
        dict(iterations=0),
    ],
)
def test_every_parameter_reaches_its_place(picture, change):
    image, scores = picture
    unary = soft_unary(scores)
    base = dict(iterations=1, gaussian_compat=2.0, bilateral_compat=4.0)
    changed = CRFParameters(**{**base, **change})
    ours = dense_crf(image, unary, changed)
    right = error(ours, brute_force(image, unary, changed))
    wrong = error(ours, brute_force(image, unary, CRFParameters(**base)))
    assert right < TOLERANCE
    assert right < wrong / 2


@pytest.mark.usefixtures('compiled')
def test_the_border_of_colours_becomes_the_border_of_labels(picture):
    image, scores = picture
    mask = dense_crf(image, soft_unary(scores), SOFT).argmax(axis=0)
    assert mask.tolist() == [[0] * 7 + [1] * 7] * 12
    assert scores.argmax(axis=0).tolist() != mask.tolist()


@pytest.mark.usefixtures('compiled')
@pytest.mark.parametrize('labels', [2, 3, 5])
def test_a_shared_lattice_changes_no_bit(labels):
    rng = np.random.default_rng(labels)
    image = rng.integers(0, 256, (17, 13, 3), dtype=np.uint8)
    scores = rng.random((3, labels, 17, 13))
    unaries = np.stack([soft_unary(one) for one in scores])
    before = unaries.copy()
    separate = np.stack([dense_crf(image, unary, SOFT) for unary in unaries])
    np.testing.assert_array_equal(dense_crf_shared(image, unaries, SOFT), separate)
    np.testing.assert_array_equal(unaries, before)
    joint = dense_crf_joint(image, unaries, SOFT)
    np.testing.assert_array_equal(unaries, before)
    np.testing.assert_allclose(joint, separate, atol=1e-4)
    np.testing.assert_allclose(joint.sum(axis=1), 1, atol=1e-6)


@pytest.mark.usefixtures('compiled')
def test_joint_labels_survive_energies_far_apart():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    unaries = rng.random((2, 3, 6, 7)).astype(np.float32)
    unaries[1] += 500  # exp(-500) is zero in float32
    joint = dense_crf_joint(image, unaries, SOFT)
    np.testing.assert_array_equal(joint, dense_crf_shared(image, unaries, SOFT))


@pytest.mark.usefixtures('compiled')
def test_any_layout_of_memory_will_do(picture):
    image, scores = picture
    unary = soft_unary(scores)
    plain = dense_crf(image, unary, SOFT)
    frozen = image.copy()
    frozen.flags.writeable = False
    turned = np.asfortranarray(unary.astype(np.float64))
    np.testing.assert_array_equal(dense_crf(frozen, turned, SOFT), plain)
    flipped = np.ascontiguousarray(image[..., ::-1])[..., ::-1]
    np.testing.assert_array_equal(dense_crf(flipped, unary, SOFT), plain)
    assert plain.dtype == np.float32
    assert plain.flags.c_contiguous


@pytest.mark.usefixtures('compiled')
def test_labels_may_change_places(picture):
    image, scores = picture
    unary = soft_unary(scores)
    swapped = dense_crf(image, unary[[2, 0, 1]], SOFT)
    np.testing.assert_allclose(
        swapped, dense_crf(image, unary, SOFT)[[2, 0, 1]], atol=1e-5
    )


@pytest.mark.usefixtures('compiled')
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (2, 2)])
def test_tiny_images(size):
    image = np.zeros((*size, 3), np.uint8)
    scores = np.stack([np.full(size, 0.2), np.full(size, 0.8)])
    q = dense_crf(image, soft_unary(scores), SOFT)
    assert (q[1] > 0.8).all()
    np.testing.assert_allclose(q.sum(axis=0), 1, atol=1e-6)


def test_one_label_takes_all():
    image = np.zeros((3, 4, 3), np.uint8)
    q = dense_crf(image, soft_unary(np.full((1, 3, 4), 0.2)), SOFT)
    assert q.tolist() == np.ones((1, 3, 4)).tolist()
    joint = dense_crf_joint(image, np.zeros((2, 1, 3, 4)), SOFT)
    assert joint.tolist() == np.ones((2, 1, 3, 4)).tolist()


def test_soft_unary_is_the_negative_logarithm_within_its_bounds():
    scores = np.array([[[0.0, -3.0, 1e-7]], [[1.0, 7.0, 0.25]]])
    expected = [[[-np.log(1e-5)] * 3], [[0, 0, -np.log(0.25)]]]
    unary = soft_unary(scores)
    assert unary.dtype == np.float32
    np.testing.assert_allclose(unary, expected, rtol=1e-6)


def test_label_unary_by_pixel():
    labels = np.array([[0, 2], [1, 1]])
    unary = label_unary(labels, 3)
    for y in range(2):
        for x in range(2):
            for label in range(3):
                p = 0.7 if label == labels[y, x] else 0.15
                assert unary[label, y, x] == pytest.approx(-np.log(p))
    assert np.isfinite(label_unary(np.zeros((1, 1), int), 1)).all()


def test_the_names_of_the_released_codes():
    get = CRF_PARAMETERS.__getitem__
    names = ['soft', 'soft1', 'retrain', 'label', 'label1', 'clip_es']
    assert list(CRF_PARAMETERS) == names
    assert [get(n).iterations for n in names] == [10, 1, 1, 10, 1, 10]
    assert [get(n).bilateral_sxy for n in names] == [80, 80, 32, 50, 50, 67]
    assert [get(n).bilateral_srgb for n in names] == [13, 13, 13, 5, 5, 3]
    assert [get(n).gaussian_sxy for n in names] == [3, 3, 3, 3, 3, 1]
    assert {get(n).gaussian_compat for n in names} == {3}
    assert [get(n).bilateral_compat for n in names] == [10, 10, 10, 10, 10, 4]


def test_a_smaller_image_has_a_shorter_reach():
    scaled = crf_parameters('label').scaled(2)
    assert (scaled.gaussian_sxy, scaled.bilateral_sxy) == (1.5, 25)
    assert (scaled.bilateral_srgb, scaled.iterations) == (5, 10)
    with pytest.raises(ValueError, match='scale_factor must be positive, got 0'):
        crf_parameters('label').scaled(0)


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="'hard'; there are soft, soft1"):
        crf_parameters('hard')
    with pytest.raises(ValueError, match='iterations must not be negative'):
        CRFParameters(iterations=-1)
    with pytest.raises(ValueError, match='iterations must be whole'):
        CRFParameters(iterations=1.5)
    with pytest.raises(ValueError, match='bilateral_srgb must be a positive'):
        CRFParameters(iterations=1, bilateral_srgb=0)
    with pytest.raises(ValueError, match='gaussian_compat must be a number >= 0'):
        CRFParameters(iterations=1, gaussian_compat=float('nan'))


def test_bad_arrays_are_refused():
    image = np.zeros((3, 4, 3), np.uint8)
    unary = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r'uint8 of shape \(H, W, 3\), got float'):
        dense_crf(image / 255, unary, SOFT)
    with pytest.raises(ValueError, match=r'\(2, 4, 3\) must have the size of the im'):
        dense_crf(image, unary.swapaxes(1, 2), SOFT)
    with pytest.raises(ValueError, match='unary must be finite'):
        dense_crf(image, unary + np.nan, SOFT)
    with pytest.raises(ValueError, match='finite in float32'):
        dense_crf(image, unary + 1e300, SOFT)
    with pytest.raises(ValueError, match='scores must be finite'):
        soft_unary(unary - np.inf)
    with pytest.raises(ValueError, match=r'scores must be numbers of shape \(K, H'):
        soft_unary(unary[0])
    with pytest.raises(ValueError, match=r'labels must be in 0\.\.1, got 0\.\.2'):
        label_unary(np.array([[0, 2]]), 2)
    with pytest.raises(ValueError, match='labels must be integers'):
        label_unary(np.zeros((2, 2)), 2)
    with pytest.raises(ValueError, match=r'probability in \(0, 1\), got 2 and 1'):
        label_unary(np.array([[0, 1]]), 2, probability=1)


def test_without_pydensecrf_the_command_is_said(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith('pydensecrf'):
            raise ImportError(f'No module named {name!r}')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(ImportError, match=r'pip install -r requirements/crf.txt') as e:
        dense_crf(np.zeros((3, 4, 3), np.uint8), np.zeros((2, 3, 4)), SOFT)
    assert 'pip install pydensecrf2==1.1' in str(e.value)
    assert 'C++ compiler' in str(e.value)


def test_the_command_names_the_version_of_the_requirements(root):
    from wsss_mm.functional.dense_crf import INSTALL

    lines = (root / 'requirements' / 'crf.txt').read_text().splitlines()
    (pin,) = [line for line in lines if not line.startswith('#')]
    assert pin in INSTALL
