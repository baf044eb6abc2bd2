import numpy as np
import pytest

from wsss_mm.functional import saliency_mask


def decide(attention, saliency, classes, threshold, conflict, least_saliency):
    """The rule for one pixel."""
    scores = []
    for a in attention:
        scores.append(2 * saliency * a / (saliency + a) if saliency + a else 0.0)
    if saliency < least_saliency:
        return 0 if all(a < threshold for a in attention) else 255
    if sum(a >= conflict for a in attention) > 1:
        return 255
    if not scores or max(scores) < threshold:
        return 255
    return classes[scores.index(max(scores))] + 1


@pytest.mark.parametrize('count', [0, 1, 3])
@pytest.mark.parametrize('bounds', [(0.3, 0.7, 32 / 255), (0.5, 0.6, 0.4)])
def test_it_follows_the_rule(count, bounds):
    rng = np.random.default_rng(count)
    # Away from the bounds, where float32 and float64 may differ.
    maps = rng.choice([0.0, 0.21, 0.37, 0.55, 0.66, 0.81, 1.0], (count, 20, 25))
    saliency = rng.choice([0.0, 0.11, 0.2, 0.45, 0.9, 1.0], (20, 25))
    classes = [2, 5, 11][:count]
    copies = maps.copy(), saliency.copy()
    threshold, conflict, least_saliency = bounds
    found = saliency_mask(
        maps,
        classes,
        saliency,
        threshold=threshold,
        conflict=conflict,
        least_saliency=least_saliency,
    )
    expected = [
        [decide(maps[:, y, x], saliency[y, x], classes, *bounds) for x in range(25)]
        for y in range(20)
    ]
    assert found.tolist() == expected
    assert found.dtype == np.uint8
    assert np.array_equal(maps, copies[0])
    assert np.array_equal(saliency, copies[1])
    kinds = {0, 255} | {c + 1 for c in classes}
    assert set(found.ravel().tolist()) == kinds


def test_two_large_attentions_are_ignored():
    maps = np.array([[[0.8, 0.8]], [[0.7, 0.69]]], dtype=np.float32)
    assert saliency_mask(maps, [0, 1], np.ones((1, 2))).tolist() == [[255, 1]]


def test_maps_beyond_the_unit_interval_are_clipped():
    maps = np.array([[[-1.0, 3.0]]])
    clipped = saliency_mask(maps, [0], np.ones((1, 2)))
    assert np.array_equal(clipped, saliency_mask(maps.clip(0, 1), [0], np.ones((1, 2))))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(saliency=np.ones((2, 3))), r'saliency must have the shape \(2, 2\)'),
        (dict(saliency=np.full((2, 2), 200)), r'saliency must be in \[0, 1\]'),
        (dict(saliency=np.full((2, 2), np.nan)), r'saliency must be in \[0, 1\]'),
        (dict(maps=np.full((1, 2, 2), np.nan)), 'maps must be finite'),
        (dict(classes=[1, 0], maps=np.ones((2, 2, 2))), 'classes must be ascending'),
        (dict(threshold=1.5), r'threshold must be in \[0, 1\], got 1.5'),
        (dict(conflict=-0.1), r'conflict must be in \[0, 1\]'),
        (dict(least_saliency=32), r'least_saliency must be in \[0, 1\]'),
    ],
)
def test_bad_input_is_refused(changes, message):
    settings = dict(maps=np.ones((1, 2, 2)), classes=[0], saliency=np.ones((2, 2)))
    with pytest.raises(ValueError, match=message):
        saliency_mask(**settings | changes)
