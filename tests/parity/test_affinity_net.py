"""AffinityNet's networks and Puzzle-CAM's edge branch against recorded numbers."""

import pytest
import torch

from wsss_mm.functional import complete_pairs, edge_affinity, path_groups, psa_pairs
from wsss_mm.models.testing import predicted_maps


def dense(affinity, offsets):
    """Write an affinity map as the symmetric matrix of the released code."""
    _, height, width = affinity.shape
    matrix = torch.eye(height * width)
    for weights, (dy, dx) in zip(affinity, offsets):
        for y, x in weights.nonzero().tolist():
            i, j = y * width + x, (y + dy) * width + x + dx
            matrix[i, j] = matrix[j, i] = weights[y, x]
    return matrix


@pytest.mark.parametrize('backbone', ['resnet38', 'vgg16'])
def test_affinities(backbone, network, reference_weights, golden, assert_maps):
    recorded = golden(f'net_psa_{backbone}_aff_104x120')
    model = network(f'net_psa_{backbone}_aff_104x120')
    image = reference_weights.network_input(1, 104, 120)
    with torch.no_grad():
        found = model.decode_head.affinity(model.extract_feat(image))[0]
    pairs = found[psa_pairs(13, 15, 5)].view(1, 34, 63)
    assert_maps(pairs, recorded['aff'])
    assert_maps(dense(found, model.offsets), recorded['dense'])


def test_vgg16_classifier(network, reference_weights, golden, assert_maps):
    recorded = golden('net_psa_vgg16_cls_72x96')
    model = network('net_psa_vgg16_cls_72x96')
    with torch.no_grad():
        features = model.extract_feat(reference_weights.network_input(1, 72, 96))
        cam, logits = predicted_maps(model.decode_head, features, (72, 96))
    assert_maps(logits, recorded['logit'])
    # The root blows up rounding near 0, so its argument is compared.
    assert_maps(cam.square(), recorded['cam'] ** 2)


def test_edges(network, reference_weights, golden, assert_maps):
    recorded = golden('net_puzzle_affnet_r50_96x128')
    model = network('net_puzzle_affnet_r50_96x128')
    image = reference_weights.network_input(1, 96, 128)
    with torch.no_grad():
        edge = model(image)
    assert_maps(edge, recorded['edge'])
    # The file holds the pairs of training in the order of IRN, at radius 5.
    affinity = edge_affinity(edge.sigmoid()[:, 0], 5)[0]
    place = {offset: p for p, offset in enumerate(model.offsets)}
    order = [place[offset] for group in path_groups(5) for offset in group]
    found = affinity[order][:, psa_pairs(24, 32, 5)[0]]
    assert_maps(found[None], recorded['aff'])
    assert complete_pairs(24, 32, 5).sum() > psa_pairs(24, 32, 5).sum()


@pytest.mark.parametrize(
    ('stem', 'pairs', 'offsets'),
    [
        ('e2e_psa_affinity_random_walk', 'psa', 34),
        ('e2e_psa_affinity_small_map', 'seam', 12),
    ],
)
def test_image_to_affinities(
    stem, pairs, offsets, build_config, reference_weights, golden, assert_maps
):
    recorded = golden(stem)
    model = build_config('affinitynet/affinitynet_r38_voc_affinity.py', pairs=pairs)
    reference_weights.load_filled(model, 'resnet38_psa_aff', rule='b', classes=20)
    model.eval()
    model.decode_head.fuse.weight.data *= float(recorded['f9_scale'])
    image = torch.from_numpy(recorded['input'])
    with torch.no_grad():
        found = model.decode_head.affinity(model.extract_feat(image))[0]
    exists = model.decode_head.pairs(*found.shape[-2:], 5)
    used = exists.flatten(1).any(dim=1)
    assert used.sum() == offsets
    assert_maps(found[exists].view(1, offsets, -1), recorded['pair_affinity'])
    # The transition matrix sums over the rows of A^beta.
    powered = dense(found, model.offsets) ** int(recorded['beta'])
    transition = powered / powered.sum(dim=0, keepdim=True)
    assert_maps(transition[7], recorded['transition_row7'])
    assert_maps(transition.sum(dim=1), recorded['transition_row_sums'])
