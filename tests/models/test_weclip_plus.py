import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmseg.structures import SegDataSample

from wsss_mm.functional import feature_affinity
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

NAMES = ('background', 'bird', 'cat', 'dog')
PLAIN = dict(type='SegDataPreProcessor', size_divisor=1)
CLIP = dict(
    type='CLIPVisionTransformer',
    embed_dims=32,
    num_layers=3,
    num_heads=2,
    img_size=64,
    partial_patches='drop',
)
DINO = dict(
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=24),
    img_size=56,
    patch_size=14,
    out_type='featmap',
)
HEAD = dict(
    type='WeCLIPPlusHead',
    in_channels=32,
    num_classes=4,
    dino_channels=24,
    channels=16,
    num_layers=1,
    num_heads=2,
)
CONFIG = dict(
    type='WeCLIPPlus',
    data_preprocessor=PLAIN,
    backbone=dict(type='CLIPWithDINO', clip=CLIP, dino=DINO),
    decode_head=HEAD,
    pseudo_masks=dict(
        type='CLIPPseudoMasks',
        text=dict(
            encoder=dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8),
            templates=['a {}.'],
        ),
        last_block=dict(embed_dims=32, num_heads=2, output_dims=8),
        background_words=['sky', 'water'],
        layers=(3, 2),
        box_threshold=None,
        dilations=(1, 2),
        iterations=2,
    ),
    test_cfg=dict(mode='whole'),
)


def build(**changes):
    torch.manual_seed(0)
    network = MODELS.build(ConfigDict(copy.deepcopy(CONFIG | changes)))
    network.dataset_meta = dict(classes=NAMES)
    return network


def batch(labels=((1, 0, 1), (0, 1, 0)), size=(64, 96)):
    generator = torch.Generator().manual_seed(3)
    samples = []
    for one in labels:
        meta = dict(img_path='pond.jpg', ori_shape=(61, 83), img_shape=size)
        samples.append(SegDataSample(metainfo=meta))
        if one is not None:
            samples[-1].image_labels = torch.tensor(one, dtype=torch.float32)
    images = torch.randn(len(labels), 3, *size, generator=generator)
    return dict(inputs=list(images), data_samples=samples)


def test_dino_sees_whole_patches():
    network = build()
    images = torch.rand(2, 3, 70, 100)
    output = network.backbone(images)
    shapes = [tuple(one.shape[1:]) for one in output.maps]
    assert shapes == [(24, 5, 7)] + [(32, 4, 6)] * 3
    resized = F.interpolate(images, (70, 98), mode='bilinear')
    expected = network.backbone.dino(resized)[-1]
    torch.testing.assert_close(output.maps[0], expected)
    assert not any(one.requires_grad for one in output.maps)
    assert not any(p.requires_grad for p in network.backbone.parameters())
    network.train()
    assert not network.backbone.dino.training


def test_both_branches_pass_one_decoder():
    network = build().eval()
    head = network.decode_head
    fused = head.fused(network.backbone(torch.rand(2, 3, 64, 96)))
    assert fused.shape == (2, 32, 4, 6)
    clip, dino = head.branches(fused)
    swapped = head.branches(torch.cat(fused.chunk(2, dim=1)[::-1], dim=1))
    torch.testing.assert_close(swapped, (dino, clip))
    torch.testing.assert_close(head.decode(fused), (clip + dino) / 2)


def test_masks_use_affinity_and_prediction():
    network = build().eval()
    data = network.data_preprocessor(batch(), True)
    losses = network.loss(**copy.deepcopy(data))
    images = data['inputs']
    output = network.backbone(images)
    fused = network.decode_head.fused(output)
    mask = network.pseudo_masks(
        images,
        output,
        torch.tensor([[1, 0, 1], [0, 1, 0]]),
        names=NAMES[1:],
        affinity=feature_affinity(fused),
        scores=network.decode_head.decode(fused).softmax(dim=1),
    )
    expected = network.decode_head.mask_losses(fused, mask)
    assert set(losses) == {'loss_seg', 'loss_dice', 'loss_affinity', 'loss_mutual'}
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss)


def test_what_it_is_sure_of_overwrites_its_labels():
    network = build().eval()
    head = network.decode_head
    torch.nn.init.normal_(head.conv_seg.weight, std=3)
    fused = head.fused(network.backbone(torch.rand(2, 3, 64, 96)))
    mask = torch.ones(2, 64, 96, dtype=torch.int64)
    before = head.mask_losses(fused, mask)
    assert not network.trusts_prediction
    network.trusts_prediction = True
    after = head.mask_losses(fused, mask)
    assert after['loss_seg'] < before['loss_seg']
    for name in ('loss_affinity', 'loss_mutual'):
        torch.testing.assert_close(after[name], before[name])


def test_a_step_trains_the_head_alone_and_prediction_needs_no_tags():
    network = build()
    learning = {name for name, p in network.named_parameters() if p.requires_grad}
    assert all(name.startswith('decode_head.') for name in learning)
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(network.decode_head.parameters(), lr=1.0)
    network.train_step(batch(), OptimWrapper(optimizer))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) is not (name in learning), name
    network.eval()
    for size in ((64, 96), (53, 75)):
        with torch.no_grad():
            samples = network.test_step(batch(labels=(None, None), size=size))
        assert samples[0].pred_sem_seg.data.shape == (1, 61, 83)


def test_what_does_not_fit_is_refused():
    head = dict(type='WeCLIPHead', in_channels=[32], num_classes=4, num_heads=2)
    with pytest.raises(InputError, match='WeCLIPPlus needs a WeCLIPPlusHead'):
        build(decode_head=head)
    with pytest.raises(InputError, match='CLIPWithDINO needs a CLIPVisionTransformer'):
        build(backbone=dict(type='CLIPWithDINO', clip=DINO, dino=DINO))
