import numpy as np
import pytest

from wsss_mm.functional import choose_threshold, threshold_separation

THRESHOLDS = [0.0, 0.25, 0.5, 0.75]


def between_part(values, above):
    """The part of the variance between two groups, from its definition."""
    if above.all() or not above.any():
        return 0.0
    centre = values.mean(axis=0)
    total = sum(((v - centre) ** 2).sum() for v in values)
    between = 0.0
    for side in (values[above], values[~above]):
        between += len(side) * ((side.mean(axis=0) - centre) ** 2).sum()
    return between / total


def test_it_follows_the_definition():
    rng = np.random.default_rng(0)
    score = rng.choice([0.0, 0.25, 0.3, 0.6, 0.75], (7, 9)).astype(np.float32)
    image = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    copies = score.copy(), image.copy()
    found = threshold_separation(score, image, thresholds=THRESHOLDS)
    for index, threshold in enumerate(THRESHOLDS):
        above = score.ravel() > threshold
        scores, colours = score.reshape(-1, 1), image.reshape(-1, 3)
        expected = [
            between_part(values.astype(float), above) for values in (scores, colours)
        ]
        assert found[:, index] == pytest.approx(expected, abs=1e-12)
    assert found[:, 3].tolist() == [0, 0]  # nothing exceeds 0.75
    assert np.array_equal(score, copies[0])
    assert np.array_equal(image, copies[1])


def test_unit_and_order_of_the_colours_do_not_matter():
    rng = np.random.default_rng(1)
    score, image = rng.random((8, 8)), rng.random((8, 8, 3))
    found = threshold_separation(score, image, thresholds=THRESHOLDS)
    other = threshold_separation(
        score, 255 * image[..., ::-1] + 7, thresholds=THRESHOLDS
    )
    assert other == pytest.approx(found)


def test_the_outline_of_the_object_is_chosen():
    """Scores fall off linearly from a centre; the object ends where they are 0.3."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:48, :48]
    score = 1 - np.hypot(y - 24, x - 24) / 30
    image = rng.normal(0.4, 0.1, (48, 48, 3))
    image[score > 0.3] += 0.4
    thresholds = np.arange(60) / 100
    separations = threshold_separation(score, image, thresholds=thresholds)
    assert thresholds[separations[1].argmax()] == pytest.approx(0.3, abs=0.02)
    otsu = thresholds[separations[0].argmax()]
    chosen = choose_threshold(separations[None], thresholds=thresholds)
    low, high = sorted((0.3, otsu))
    assert low - 0.02 <= chosen <= high + 0.02


def test_uniform_images_leave_the_choice_to_the_others():
    rng = np.random.default_rng(3)
    score, image = rng.random((8, 8)), rng.random((8, 8, 3))
    one = threshold_separation(score, image, thresholds=THRESHOLDS)
    flat = threshold_separation(score, np.full((8, 8, 3), 0.1), thresholds=THRESHOLDS)
    assert not flat[1].any()
    assert flat[0].any()
    constant = threshold_separation(np.full((8, 8), 0.3), image, thresholds=THRESHOLDS)
    assert not constant.any()
    chosen = choose_threshold(one[None], thresholds=THRESHOLDS)
    both = np.stack([one, constant])
    assert choose_threshold(both, thresholds=THRESHOLDS) == chosen


def test_the_choice_is_the_product_of_means():
    rng = np.random.default_rng(4)
    separations = rng.random((5, 2, 4))
    merit = [
        np.mean([s[0, t] for s in separations])
        * np.mean([s[1, t] for s in separations])
        for t in range(4)
    ]
    chosen = choose_threshold(separations, thresholds=THRESHOLDS)
    assert chosen == THRESHOLDS[int(np.argmax(merit))]
    tied = np.ones((1, 2, 4))
    assert choose_threshold(tied, thresholds=THRESHOLDS) == 0.0


@pytest.mark.parametrize(
    'score, image, thresholds, message',
    [
        (np.zeros(4), np.zeros((2, 2, 3)), [0.1], r'shape \(H, W\)'),
        (np.zeros((2, 2)), np.zeros((2, 3, 3)), [0.1], r'\(2, 3, 3\)'),
        (np.full((2, 2), np.nan), np.zeros((2, 2, 3)), [0.1], 'finite'),
        (np.zeros((2, 2)), np.zeros((2, 2, 3)), [0.2, 0.1], 'ascending'),
    ],
)
def test_bad_images_are_refused(score, image, thresholds, message):
    with pytest.raises(ValueError, match=message):
        threshold_separation(score, image, thresholds=thresholds)


@pytest.mark.parametrize(
    'separations, message',
    [
        (np.zeros((1, 2, 3)), r'\(N, 2, 4\)'),
        (np.zeros((0, 2, 4)), 'no image'),
        (np.zeros((3, 2, 4)), 'no threshold separates'),
    ],
)
def test_no_choice_without_evidence(separations, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold(separations, thresholds=THRESHOLDS)
