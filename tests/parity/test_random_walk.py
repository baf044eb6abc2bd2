"""The random walk of the released codes, from recorded affinities."""

import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional import complete_pairs, edge_affinity, pair_offsets
from wsss_mm.functional.random_walk import random_walk, transition_matrix


def reference_offsets(radius):
    """Half a disc of neighbours, in the released code's order."""
    return [(0, dx) for dx in range(1, radius)] + [
        (dy, dx)
        for dy in range(1, radius)
        for dx in range(1 - radius, radius)
        if dx * dx + dy * dy < radius * radius
    ]


def at_sources(pairs, size, radius):
    """Put recorded pairs, (P, S), where their first cells are, (P, h, w)."""
    height, width = size
    reach = radius - 1
    affinity = torch.zeros(len(pairs), height, width)
    inner = affinity[:, : height - reach, reach : width - reach]
    inner.copy_(torch.from_numpy(pairs).view(inner.shape))
    return affinity


def test_of_affinitynet(golden, assert_maps):
    recorded = golden('psa_rw_9x11')
    affinity = at_sources(recorded['aff'][0], (9, 11), 5)
    offsets = reference_offsets(5)
    dense = transition_matrix(affinity, offsets, beta=8)
    assert_maps(dense.sum(dim=0), recorded['trans1_colsum'])
    scores = torch.from_numpy(recorded['cams']).view(21, 9, 11)
    found = random_walk(scores, affinity, offsets, beta=8, steps=64)
    assert_maps(found, recorded['rw'][0])
    upsampled = F.interpolate(found[None], (72, 88), mode='bilinear')[0]
    assert_maps(upsampled[:, :4, :4], recorded['up_first'])
    winner, runner_up = upsampled.topk(2, dim=0).values
    same = upsampled.argmax(dim=0).numpy() == recorded['argmax']
    # Where two classes are within rounding of each other, either may win.
    assert (same | (winner - runner_up < 1e-5).numpy()).all()
    assert same.mean() > 0.999


@pytest.mark.parametrize(
    'name, radius',
    [('e2e_psa_affinity_random_walk', 5), ('e2e_psa_affinity_small_map', 3)],
)
def test_from_affinities_to_upsampled_scores(golden, assert_maps, name, radius):
    recorded = golden(name)
    scores = torch.from_numpy(recorded['scores'])
    affinity = at_sources(recorded['pair_affinity'][0], scores.shape[-2:], radius)
    offsets, beta = reference_offsets(radius), int(recorded['beta'])
    dense = transition_matrix(affinity, offsets, beta=beta)
    assert_maps(dense.sum(dim=1), recorded['transition_row_sums'])
    assert_maps(dense[7], recorded['transition_row7'])
    steps = 2 ** int(recorded['logt'])
    found = random_walk(scores, affinity, offsets, beta=beta, steps=steps)
    assert_maps(found, recorded['random_walk'])
    size = recorded['upsampled'].shape[-2:]
    assert_maps(
        F.interpolate(found[None], size, mode='bilinear')[0], recorded['upsampled']
    )


def test_of_irn_from_its_edges(golden, assert_maps):
    recorded = golden('irn_rw_12x14')
    edge = torch.from_numpy(recorded['edge'])
    affinity = edge_affinity(edge, 5, pairs=complete_pairs)[0]
    offsets = pair_offsets(5)
    # What lies on an edge is uncertain and does not spread.
    scores = torch.from_numpy(recorded['cam']) * (1 - edge)
    found = random_walk(scores, affinity, offsets, beta=10, steps=256)
    assert_maps(found, recorded['rw'][:, 0])
