import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from wsss_mm.functional import (
    complete_pairs,
    pair_affinity,
    pair_offsets,
    psa_pairs,
    seam_pairs,
)

RULES = pytest.mark.parametrize('rule', [psa_pairs, seam_pairs, complete_pairs])


def draw(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=g, dtype=torch.float64)


# --- which pairs


def test_the_reference_order():
    assert pair_offsets(5) == (
        *((0, dx) for dx in range(1, 5)),
        *((dy, dx) for dy in (1, 2) for dx in range(-4, 5)),
        *((3, dx) for dx in range(-3, 4)),
        *((4, dx) for dx in range(-2, 3)),
    )


@pytest.mark.parametrize('radius', [2, 3, 5, 10])
def test_offsets_and_their_opposites_are_the_open_disc(radius):
    offsets = pair_offsets(radius)
    both = {*offsets, *((-dy, -dx) for dy, dx in offsets), (0, 0)}
    square = range(-radius, radius + 1)
    disc = {(y, x) for y in square for x in square if math.hypot(y, x) < radius}
    assert both == disc
    assert len(both) == 2 * len(offsets) + 1


@pytest.mark.parametrize('radius', [1, 0, -3])
def test_a_radius_without_neighbours_is_refused(radius):
    with pytest.raises(ValueError, match=f'at least 2 cells, got {radius}'):
        pair_offsets(radius)


def test_recorded_pairs(golden):
    recorded = golden('psa_pairs_7x12')
    exists = psa_pairs(7, 12, 5)
    sources, targets = [], []
    for present, (dy, dx) in zip(exists, pair_offsets(5)):
        y, x = present.nonzero().T
        sources.append(y * 12 + x)
        targets.append((y + dy) * 12 + x + dx)
    assert all(s.tolist() == recorded['ind_from'].tolist() for s in sources)
    assert torch.cat(targets).tolist() == recorded['ind_to'].tolist()


@pytest.mark.parametrize('size', [(1, 1), (2, 7), (7, 2), (4, 4), (9, 11)])
def test_complete_pairs_are_all_with_both_ends_on_the_map(size):
    exists = complete_pairs(*size, 5)
    for p, (dy, dx) in enumerate(pair_offsets(5)):
        for y in range(size[0]):
            for x in range(size[1]):
                inside = y + dy < size[0] and 0 <= x + dx < size[1]
                assert exists[p, y, x] == inside


@pytest.mark.parametrize('size', [(5, 9), (7, 12), (4, 9), (5, 8), (3, 3), (1, 4)])
@pytest.mark.parametrize('rule', [psa_pairs, seam_pairs])
def test_the_references_pairs_exist_too(rule, size):
    assert not (rule(*size, 5) & ~complete_pairs(*size, 5)).any()


def test_degrees_at_the_border():
    """Which cells the released code leaves alone, as recorded from it."""
    height, width = 16, 20
    degree = torch.zeros(height, width, dtype=torch.int64)
    for present, (dy, dx) in zip(psa_pairs(height, width, 5), pair_offsets(5)):
        for y, x in present.nonzero().tolist():
            degree[y, x] += 1
            degree[y + dy, x + dx] += 1
    assert degree.max() == degree[8, 10] == 68
    alone = {(0, 0), (0, 1), (0, 2), (0, 3), (height - 2, 0), (height - 2, width - 1)}
    alone |= {(height - 1, x) for x in (0, 1, width - 2, width - 1)}
    assert {tuple(cell) for cell in (degree == 0).nonzero().tolist()} >= alone


def test_small_maps_get_a_smaller_radius():
    sizes = {(7, 8): 3, (10, 40): 4, (3, 30): 1, (11, 11): 5}
    for (height, width), radius in sizes.items():
        exists = seam_pairs(height, width, 5)
        reach = [
            dy * dy + dx * dx
            for present, (dy, dx) in zip(exists, pair_offsets(5))
            if present.any()
        ]
        assert all(d < radius * radius for d in reach)
        if radius >= 2:
            assert {*pair_offsets(radius)} == {
                offset
                for present, offset in zip(exists, pair_offsets(5))
                if present.any()
            }
            count = (height - radius + 1) * (width - 2 * radius + 2)
            assert exists[0].sum() == count
    # AffinityNet's own rule shrinks only where nothing would be left.
    assert torch.equal(psa_pairs(4, 30, 5), seam_pairs(4, 30, 5))
    assert psa_pairs(5, 9, 5).sum() == 34


# --- affinities of features


def affinity_by_cell(features, offsets, exists):
    batch, depth, height, width = features.shape
    out = features.new_zeros(batch, len(offsets), height, width)
    for b in range(batch):
        for p, (dy, dx) in enumerate(offsets):
            for y in range(height):
                for x in range(width):
                    if exists[p, y, x]:
                        total = 0.0
                        for d in range(depth):
                            a = features[b, d, y, x].item()
                            total += abs(a - features[b, d, y + dy, x + dx].item())
                        out[b, p, y, x] = math.exp(-total / depth)
    return out


@RULES
@pytest.mark.parametrize('size', [(6, 7), (2, 5), (1, 1), (5, 2)])
def test_pair_affinity_is_its_definition(rule, size):
    features = draw(2, 3, *size)
    before = features.clone()
    out = pair_affinity(features, 3, pairs=rule)
    expected = affinity_by_cell(features, pair_offsets(3), rule(*size, 3))
    assert_close(out, expected)
    assert torch.equal(features, before)


def test_recorded_affinities(golden):
    recorded = golden('psa_rw_9x11')
    found = pair_affinity(torch.from_numpy(recorded['feat']))
    found = found[:, psa_pairs(9, 11, 5)].view(1, 34, 15)
    np.testing.assert_allclose(found, recorded['aff'], rtol=1e-5)


@RULES
def test_pair_affinity_gradient(rule):
    # Values apart, so that no difference is near the kink at 0.
    values = torch.randperm(2 * 2 * 4 * 6, generator=torch.Generator().manual_seed(0))
    features = (values.double() / 10).view(2, 2, 4, 6).requires_grad_()
    assert gradcheck(lambda f: pair_affinity(f, 3, pairs=rule), features)


def test_pair_affinity_gradient_is_that_of_plain_autograd():
    features = draw(2, 4, 6, 7).requires_grad_()
    weights = draw(2, len(pair_offsets(3)), 6, 7, seed=1)
    (found,) = torch.autograd.grad(
        (pair_affinity(features, 3) * weights).sum(), features
    )
    total = 0
    for p, (dy, dx) in enumerate(pair_offsets(3)):
        for y, x in psa_pairs(6, 7, 3)[p].nonzero().tolist():
            apart = (features[:, :, y, x] - features[:, :, y + dy, x + dx]).abs()
            total = total + ((-apart.mean(1)).exp() * weights[:, p, y, x]).sum()
    (expected,) = torch.autograd.grad(total, features)
    assert_close(found, expected)


def test_equal_features_give_no_gradient():
    features = torch.ones(1, 2, 3, 3, requires_grad=True)
    affinity = pair_affinity(features, 2, pairs=complete_pairs)
    affinity.sum().backward()
    assert affinity[complete_pairs(3, 3, 2)[None]].eq(1).all()
    assert not features.grad.any()


def test_half_precision_features_are_compared_in_single():
    features = draw(1, 3, 5, 5).half()
    found = pair_affinity(features, 3)
    assert found.dtype == torch.float32
    assert torch.equal(found, pair_affinity(features.float(), 3))


@pytest.mark.parametrize(
    'features',
    [torch.zeros(3, 4, 5), torch.zeros(1, 0, 4, 5), torch.zeros(1, 1, 4, 5).long()],
)
def test_other_features_are_refused(features):
    with pytest.raises(ValueError, match=r'shape \(B, D, h, w\)'):
        pair_affinity(features)
