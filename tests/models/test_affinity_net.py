"""AffinityNet's segmentor and heads: what they compute, train and refuse."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.testing import assert_close

from wsss_mm.functional import (
    affinity_label,
    affinity_loss,
    complete_pairs,
    edge_affinity,
    pair_affinity,
    pair_offsets,
    psa_pairs,
)
from wsss_mm.models.testing import predicted_maps
from wsss_mm.registry import MODELS

PSA = dict(
    type='AffinityHead',
    in_channels=(6, 8),
    mid_channels=(4, 4),
    in_indices=(1, 2),
    stride=4,
    radius=3,
    pairs='complete',
)
EDGE = dict(
    type='EdgeHead',
    in_channels=(6, 8),
    strides=(4, 4),
    in_indices=(1, 2),
    mid_channels=4,
    norm_groups=2,
    train_radius=4,
    radius=3,
)
HEADS = pytest.mark.parametrize('head', [PSA, EDGE], ids=['affinity', 'edge'])


def build(head, **changes):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='AffinityNet',
            data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
            backbone=dict(type='TinyBackbone'),
            decode_head={**head, **changes},
        )
    )
    model.init_weights()
    return model


def draw_samples(size=(8, 9), count=2):
    g = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(count):
        sample = SegDataSample(metainfo=dict(img_path='pond.jpg'))
        seed = torch.randint(0, 3, (1, *size), generator=g)
        seed[:, 0] = 255
        sample.gt_affinity_seed = PixelData(data=seed)
        samples.append(sample)
    return samples


def draw_images(height=32, width=36, count=2):
    return torch.randn(
        count, 3, height, width, generator=torch.Generator().manual_seed(2)
    )


@HEADS
def test_the_loss_is_that_of_the_functions(head):
    model = build(head)
    images, samples = draw_images(), draw_samples()
    losses = model(images, samples, mode='loss')
    seeds = torch.cat([sample.gt_affinity_seed.data for sample in samples])
    out = model(images, mode='tensor')
    if head is PSA:
        affinity = pair_affinity(out, 3, pairs=complete_pairs)
        labels = affinity_label(seeds, 3, pairs=complete_pairs)
    else:
        affinity = edge_affinity(out.sigmoid()[:, 0], 4)
        labels = affinity_label(seeds, 4)
    assert list(losses) == ['loss_affinity']
    assert_close(losses['loss_affinity'], affinity_loss(affinity, labels))
    total, _ = model.parse_losses(losses)
    assert_close(total, losses['loss_affinity'])


def test_the_affinity_head_trains_the_backbone_too():
    model = build(PSA)
    model(draw_images(), draw_samples(), mode='loss')['loss_affinity'].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_the_edge_head_trains_alone():
    model = build(EDGE)
    model(draw_images(), draw_samples(), mode='loss')['loss_affinity'].backward()
    for name, parameter in model.named_parameters():
        if name.startswith('backbone.'):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.any(), name


@HEADS
def test_steps_lower_the_loss(head):
    model = build(head)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    images, samples = draw_images(), draw_samples()
    values = []
    for _ in range(12):
        losses = model(images, samples, mode='loss')
        optimizer.zero_grad()
        losses['loss_affinity'].backward()
        optimizer.step()
        values.append(losses['loss_affinity'].item())
    assert values[-1] < values[0] - 0.01


@pytest.mark.parametrize(('pad_size', 'padded_size'), [(0, (32, 36)), (40, (40, 40))])
@HEADS
def test_prediction_pads_and_fills_the_samples(head, pad_size, padded_size):
    model = build(head).eval()
    model.pad_size = pad_size
    images = draw_images(29, 34)
    samples = [SegDataSample(), SegDataSample()]
    with torch.no_grad():
        found = model(images, samples, mode='predict')
        padded = torch.zeros(2, 3, *padded_size)
        padded[..., :29, :34] = images
        straight = model(padded)[..., :8, :9]
        # A mirror is padded at the right, too, as in IRN's code.
        padded[..., :29, :34] = images.flip(-1)
        mirrored = model(padded)[..., :8, :9].flip(-1)
    if head is PSA:
        expected = pair_affinity(straight, 3, pairs=complete_pairs)
    else:
        edge = ((straight + mirrored) / 2).sigmoid()
        expected = edge_affinity(edge[:, 0], 3, pairs=complete_pairs)
        assert_close(torch.stack([s.edge.data for s in found]), edge)
    assert_close(torch.stack([s.affinity.data for s in found]), expected)
    assert model.offsets == pair_offsets(3)
    assert model.stride == 4
    assert expected.shape[1] == len(model.offsets)


def test_edges_do_not_depend_on_the_side():
    model = build(EDGE).eval()
    images = draw_images()
    with torch.no_grad():
        one = model(images, [SegDataSample(), SegDataSample()], mode='predict')
        two = model(images.flip(-1), [SegDataSample(), SegDataSample()], mode='predict')
    for a, b in zip(one, two):
        assert_close(a.edge.data, b.edge.data.flip(-1))


def test_finer_maps_set_the_size():
    head = MODELS.build(
        dict(PSA, in_channels=(4, 8), in_indices=(0, 1), norm_groups=(2, 4))
    )
    fine, coarse = torch.randn(1, 4, 8, 10), torch.randn(1, 8, 4, 5)
    assert head((fine, coarse)).shape == (1, 8, 8, 10)
    assert all(isinstance(norm, torch.nn.GroupNorm) for norm in head.norms)
    edge = MODELS.build(
        dict(EDGE, in_channels=(4, 8), strides=(2, 4), in_indices=(0, 1))
    )
    # Enlarged by the ratio of the strides, then cut, as the released code does.
    assert edge((torch.randn(1, 4, 7, 9), torch.randn(1, 8, 4, 5))).shape[-2:] == (7, 9)
    assert edge.stride == 2


def test_rules_for_the_border():
    head = MODELS.build(dict(PSA, pairs='psa'))
    features = (None, torch.randn(1, 6, 8, 9), torch.randn(1, 8, 8, 9))
    affinity = head.affinity(features)
    assert torch.equal(affinity[0] > 0, psa_pairs(8, 9, 3))
    with pytest.raises(ValueError, match=r"pairs='all'; choose one of psa, seam, com"):
        MODELS.build(dict(PSA, pairs='all'))


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match='equally long, got 2, 1, 2 and 2'):
        MODELS.build(dict(PSA, mid_channels=(4,)))
    with pytest.raises(ValueError, match='equally long, got 2, 1 and 2'):
        MODELS.build(dict(EDGE, strides=(4,)))


def test_seeds_that_are_missing_or_do_not_fit_are_named():
    model, images = build(PSA), draw_images()
    with pytest.raises(ValueError, match=r'pond\.jpg: the seed has 4 x 5.*set cell=4'):
        model(images, draw_samples((4, 5)), mode='loss')
    bare = [SegDataSample(metainfo=dict(img_path='pond.jpg'))] * 2
    with pytest.raises(ValueError, match=r'pond\.jpg: no affinity seed'):
        model(images, bare, mode='loss')


def test_modes_are_checked():
    model, images = build(PSA), draw_images()
    with pytest.raises(ValueError, match="mode='train'"):
        model(images, mode='train')
    with pytest.raises(ValueError, match='needs data_samples'):
        model(images, mode='predict')


def test_the_stem_comes_first():
    settings = dict(depth=18, stem_channels=8, base_channels=8, norm_eval=True)
    torch.manual_seed(0)
    net = MODELS.build(dict(type='ResNetStem', **settings))
    plain = MODELS.build(dict(type='ResNet', **settings))
    # mmseg's ResNet gives nothing back from eval().
    net.eval()
    plain.eval()
    plain.load_state_dict(net.state_dict())
    images = draw_images(count=1)
    stem, *stages = net(images)
    assert_close(stem, plain.maxpool(plain.relu(plain.norm1(plain.conv1(images)))))
    for ours, theirs in zip(stages, plain(images)):
        assert_close(ours, theirs)


def test_the_root_of_a_cam():
    torch.manual_seed(0)
    head = MODELS.build(dict(type='SqrtCAMHead', in_channels=4, num_classes=3)).eval()
    plain = MODELS.build(dict(type='CAMHead', in_channels=4, num_classes=3)).eval()
    plain.load_state_dict(head.state_dict())
    features = (torch.randn(1, 4, 5, 6),)
    cam, scores = predicted_maps(head, features, (40, 48))
    expected, logits = predicted_maps(plain, features, (40, 48))
    assert_close(cam.square(), expected)
    assert_close(scores, logits)
