import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from wsss_mm.functional import (
    PairLabels,
    affinity_label,
    affinity_loss,
    complete_pairs,
    confident_labels,
    confident_seed,
    pair_offsets,
    path_groups,
    psa_pairs,
)


def seed_by_cell(low, high, cell):
    count, height, width = low.shape
    out = np.zeros((math.ceil(height / cell), math.ceil(width / cell)), np.uint8)
    for y, x in np.ndindex(out.shape):
        sums = np.zeros((2, count))
        for i in range(cell * y, min(cell * y + cell, height)):
            for j in range(cell * x, min(cell * x + cell, width)):
                sums += np.stack([low[:, i, j], high[:, i, j]])
        means = sums / cell**2
        strong, weak = means.argmax(axis=1)
        if means.max() < 1e-5:
            out[y, x] = 255
        elif weak == 0:
            out[y, x] = 0
        else:
            out[y, x] = strong if strong > 0 else 255
    return out


@pytest.mark.parametrize('cell, size', [(1, (5, 6)), (4, (16, 24)), (8, (19, 30))])
def test_confident_seed_is_its_definition(cell, size):
    rng = np.random.default_rng(cell)
    low, high = rng.random((2, 4, *size)).astype(np.float32)
    # Exponents amplify and damp the background, whole cells are empty.
    low[0] += 0.2
    high[0] -= 0.1
    low[:, :cell, :cell] = high[:, :cell, :cell] = 0
    before = low.copy(), high.copy()
    found = confident_seed(low, high, cell=cell)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, seed_by_cell(low, high, cell))
    assert {0, 255} <= set(np.unique(found).tolist())
    np.testing.assert_array_equal(low, before[0])
    np.testing.assert_array_equal(high, before[1])


def test_an_image_without_classes_is_background():
    only = np.full((1, 8, 8), 0.3)
    assert confident_seed(only, only).tolist() == [[0]]


@pytest.mark.parametrize(
    'low, high, match',
    [
        ((2, 4, 4), (3, 4, 4), 'one shape'),
        ((4, 4), (4, 4), 'one shape'),
        ((0, 4, 4), (0, 4, 4), 'one shape'),
        ((256, 1, 1), (256, 1, 1), 'at most 254 classes'),
    ],
)
def test_scores_that_do_not_fit_are_refused(low, high, match):
    with pytest.raises(ValueError, match=match):
        confident_seed(np.zeros(low), np.zeros(high))


def test_confident_labels_by_pixel():
    few = np.array([[0, 0, 3, 3, 2]], np.uint8)
    many = np.array([[0, 3, 3, 0, 5]], np.uint8)
    assert confident_labels(few, many).tolist() == [[0, 255, 3, 3, 2]]
    with pytest.raises(ValueError, match='one shape'):
        confident_labels(few, many[:, :3])


@pytest.mark.parametrize('rule', [psa_pairs, complete_pairs])
@pytest.mark.parametrize('limit', [255, 3])
def test_affinity_label_is_its_definition(rule, limit):
    g = torch.Generator().manual_seed(0)
    seed = torch.randint(0, 5, (2, 7, 8), generator=g)
    seed[seed == 4] = 255
    before = seed.clone()
    labels = affinity_label(seed, 3, num_classes=limit, pairs=rule)
    exists = rule(7, 8, 3)
    for b in range(2):
        for p, (dy, dx) in enumerate(pair_offsets(3)):
            for y in range(7):
                for x in range(8):
                    expected = [False, False, False]
                    if exists[p, y, x]:
                        one = seed[b, y, x].item()
                        two = seed[b, y + dy, x + dx].item()
                        if max(one, two) < limit:
                            kind = 2 if one != two else int(one > 0)
                            expected[kind] = True
                    assert [kind[b, p, y, x].item() for kind in labels] == expected
    assert torch.equal(seed, before)


def test_recorded_labels_of_affinitynet(golden):
    recorded = golden('psa_aff_label_10x10')
    labels = affinity_label(torch.from_numpy(recorded['label'])[None])
    sources = psa_pairs(10, 10, 5)
    for kind, name in zip(labels, ('bg', 'fg', 'neg')):
        found = kind[0][sources].view(34, 12).float()
        np.testing.assert_array_equal(found, recorded[name])
        assert found.sum() == kind.sum()


def test_recorded_labels_of_irn(golden):
    recorded = golden('irn_aff_label')
    labels = affinity_label(torch.from_numpy(recorded['label'])[None], num_classes=21)
    sources = psa_pairs(12, 20, 5)
    place = {offset: p for p, offset in enumerate(pair_offsets(5))}
    order = [place[offset] for group in path_groups(5) for offset in group]
    for kind, name in zip(labels, ('bg', 'fg', 'neg')):
        found = kind[0][sources].view(34, -1)[order].float()
        np.testing.assert_array_equal(found, recorded[name])


@pytest.mark.parametrize(
    'seed, match',
    [
        (torch.zeros(4, 4).long(), 'shape'),
        (torch.zeros(1, 4, 4), 'integers'),
        (torch.full((1, 4, 4), -1), 'negative, got -1'),
    ],
)
def test_other_seeds_are_refused(seed, match):
    with pytest.raises(ValueError, match=match):
        affinity_label(seed)


def draw_labels(shape, seed=0):
    kinds = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))
    return PairLabels(kinds == 0, kinds == 1, kinds == 2)


def test_the_loss_is_its_definition():
    affinity = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    labels = draw_labels(affinity.shape)
    expected = 0.0
    for kind, weight in zip(labels, (0.25, 0.25, 0.5)):
        costs = [
            -math.log(1 + 1e-5 - a if weight == 0.5 else a + 1e-5)
            for a in affinity[kind].tolist()
        ]
        expected += weight * sum(costs) / (len(costs) + 1e-5)
    assert affinity_loss(affinity, labels).item() == pytest.approx(expected)


def test_recorded_loss(golden):
    affinity = torch.from_numpy(golden('psa_rw_9x11')['aff'])
    index = torch.arange(affinity.numel()).view(affinity.shape) % 3
    loss = affinity_loss(affinity, PairLabels(index == 0, index == 1, index == 2))
    assert loss.item() == pytest.approx(golden('psa_aff_loss')['loss'].item(), rel=1e-5)


def test_the_loss_at_its_ends():
    kinds = draw_labels((1, 4, 5, 5))
    right = (kinds.background | kinds.foreground).double()
    assert affinity_loss(right, kinds).item() == pytest.approx(0, abs=2e-5)
    wrong = affinity_loss(1 - right, kinds).item()
    assert wrong == pytest.approx(-math.log(1e-5), rel=1e-3)
    nothing = torch.zeros_like(kinds.background)
    empty = PairLabels(nothing, nothing, nothing)
    affinity = torch.zeros_like(right).requires_grad_()
    loss = affinity_loss(affinity, empty)
    loss.backward()
    assert loss == 0
    assert not affinity.grad.any()


def test_loss_gradient():
    g = torch.Generator().manual_seed(0)
    affinity = 0.1 + 0.8 * torch.rand(1, 2, 3, 4, generator=g, dtype=torch.float64)
    labels = draw_labels(affinity.shape)
    assert gradcheck(lambda a: affinity_loss(a, labels), affinity.requires_grad_())
    affinity.grad = None
    affinity_loss(affinity, labels).backward()
    unlabelled = ~(labels.background | labels.foreground | labels.negative)
    assert not affinity.grad[unlabelled].any()
    assert affinity.grad[~unlabelled].ne(0).all()
    assert_close(
        affinity.grad[labels.negative].sign(),
        torch.ones(()).double().expand(int(labels.negative.sum())),
    )


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match='share'):
        affinity_loss(torch.rand(1, 2, 3, 4), draw_labels((1, 2, 3, 5)))
