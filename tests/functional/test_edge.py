import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from wsss_mm.functional import (
    complete_pairs,
    edge_affinity,
    pair_offsets,
    path_groups,
    path_pixels,
    psa_pairs,
    seam_pairs,
)

RULES = pytest.mark.parametrize('rule', [psa_pairs, seam_pairs, complete_pairs])


def draw(*shape):
    g = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=g, dtype=torch.float64)


def test_paths_are_a_thick_line():
    for dy, dx in pair_offsets(5):
        path = path_pixels(dy, dx)
        assert path[0] == (dy, dx)
        assert path[-1] == (0, 0)
        length = math.hypot(dy, dx)
        box = {(y, x) for y in range(dy + 1) for x in range(min(dx, 0), max(dx, 0) + 1)}
        near = {(y, x) for y, x in box if abs(dy * x - dx * y) / length < 1 - 1e-12}
        assert set(path) == near
        assert len(path) == len(near)


def test_path_groups_as_the_released_code_has_them():
    sizes = [(len(group), len(path_pixels(*group[0]))) for group in path_groups(5)]
    assert sizes == [
        *((2, 2), (2, 3), (4, 4), (2, 5), (4, 6)),
        *((2, 7), (8, 8), (6, 10), (4, 11)),
    ]
    ten = path_groups(10)
    assert len(ten) == 20
    assert sum(map(len, ten)) == 152


@pytest.mark.parametrize('offset', [(0, 0), (-1, 2)])
def test_a_path_to_nowhere_is_refused(offset):
    with pytest.raises(ValueError, match='another cell'):
        path_pixels(*offset)


def test_recorded_paths(golden):
    recorded = golden('irn_path_r5')
    offsets = [offset for group in path_groups(5) for offset in group]
    assert recorded['search_dst'].tolist() == [list(offset) for offset in offsets]
    exists = psa_pairs(12, 20, 5)[0].flatten().nonzero().flatten()
    assert exists.tolist() == recorded['src'].tolist()
    for (dy, dx), targets in zip(offsets, recorded['dst']):
        assert (exists + dy * 20 + dx).tolist() == targets.tolist()
    eight = [path_pixels(*offset) for offset in path_groups(5)[6]]
    assert np.array(eight).tolist() == recorded['paths_len8'].tolist()


def edge_by_cell(edge, radius, exists):
    offsets = pair_offsets(radius)
    out = edge.new_zeros(len(edge), len(offsets), *edge.shape[-2:])
    for b in range(len(edge)):
        for p, (dy, dx) in enumerate(offsets):
            for y, x in exists[p].nonzero().tolist():
                way = [edge[b, y + i, x + j].item() for i, j in path_pixels(dy, dx)]
                out[b, p, y, x] = 1 - max(way)
    return out


@RULES
@pytest.mark.parametrize('size', [(7, 8), (2, 6), (1, 1)])
def test_edge_affinity_is_its_definition(rule, size):
    edge = draw(2, *size)
    before = edge.clone()
    found = edge_affinity(edge, 4, pairs=rule)
    assert_close(found, edge_by_cell(edge, 4, rule(*size, 4)))
    assert torch.equal(edge, before)


def test_complete_pairs_are_the_references_padding():
    """IRN infers on a map padded with edges and cuts the padding off again."""
    edge = draw(1, 6, 7)
    padded = torch.nn.functional.pad(edge, (5, 5, 0, 5), value=1.0)
    wide = edge_affinity(padded, 5)[:, :, :6, 5:12]
    found = edge_affinity(edge, 5, pairs=complete_pairs)
    exists = complete_pairs(6, 7, 5)[None]
    assert_close(found[exists], wide[exists])


def test_edge_affinity_gradient():
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    edge = (order.double() / 24).view(1, 4, 6).requires_grad_()
    assert gradcheck(lambda e: edge_affinity(e, 3, pairs=complete_pairs), edge)


def test_other_edges_are_refused():
    with pytest.raises(ValueError, match=r'shape \(B, h, w\)'):
        edge_affinity(torch.zeros(1, 1, 4, 5), 3)
    with pytest.raises(ValueError, match='at least 2 cells'):
        edge_affinity(torch.zeros(1, 4, 5), 1)
