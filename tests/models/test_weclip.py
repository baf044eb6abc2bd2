import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from wsss_mm.functional import (
    balanced_cross_entropy,
    dense_affinity_label,
    dense_affinity_loss,
    feature_affinity,
)
from wsss_mm.models.structures import BackboneOutput
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

NAMES = ('background', 'bird', 'cat', 'dog')
PLAIN = dict(type='SegDataPreProcessor', size_divisor=1)
BACKBONE = dict(
    type='CLIPVisionTransformer',
    embed_dims=32,
    num_layers=3,
    num_heads=2,
    img_size=64,
    partial_patches='drop',
)
HEAD = dict(
    type='WeCLIPHead',
    in_channels=[32] * 3,
    num_classes=4,
    channels=16,
    num_layers=2,
    num_heads=2,
    radius=2,
)
MASKS = dict(
    type='CLIPPseudoMasks',
    text=dict(
        encoder=dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8),
        templates=['a {}.'],
    ),
    last_block=dict(embed_dims=32, num_heads=2, output_dims=8),
    background_words=['sky', 'water'],
    layers=(3, 2),
    dilations=(1, 2),
    iterations=2,
)
WECLIP = dict(
    type='WeCLIP',
    data_preprocessor=PLAIN,
    backbone=BACKBONE,
    decode_head=HEAD,
    pseudo_masks=MASKS,
    test_cfg=dict(mode='whole'),
)


def build(config=WECLIP, **changes):
    torch.manual_seed(0)
    network = MODELS.build(ConfigDict(copy.deepcopy(dict(config, **changes))))
    network.dataset_meta = dict(classes=NAMES)
    return network


def batch(labels=((1, 0, 1), (0, 1, 0)), size=(64, 96), image_size=None, masks=False):
    generator = torch.Generator().manual_seed(3)
    samples = []
    for one in labels:
        meta = dict(img_path='pond.jpg', ori_shape=image_size or size, img_shape=size)
        sample = SegDataSample(metainfo=meta)
        if one is not None:
            sample.image_labels = torch.tensor(one, dtype=torch.float32)
        if masks:
            mask = torch.randint(0, 4, (1, *size), generator=generator)
            sample.gt_sem_seg = PixelData(data=mask)
        samples.append(sample)
    images = torch.randn(len(labels), 3, *size, generator=generator)
    return dict(inputs=list(images), data_samples=samples)


def losses_of(network, data):
    return network.loss(**network.data_preprocessor(copy.deepcopy(data), True))


def masks_of(network, images, labels, affinity=None):
    return network.pseudo_masks(
        images,
        network.backbone(images),
        torch.tensor(labels),
        names=NAMES[1:],
        affinity=affinity,
    )


@pytest.mark.parametrize('trusts', [False, True])
def test_losses_are_the_functions_on_the_masks_of_the_tags(trusts):
    network = build().eval()  # without dropout
    network.trusts_affinity = trusts
    data = batch()
    losses = losses_of(network, data)
    images = torch.stack(data['inputs'])
    fused = network.decode_head.fused(network.backbone(images))
    affinity = feature_affinity(fused)
    mask = masks_of(
        network, images, [[1, 0, 1], [0, 1, 0]], affinity.detach() if trusts else None
    )
    logits = torch.nn.functional.interpolate(
        network.decode_head.decode(fused), (64, 96), mode='bilinear'
    )
    torch.testing.assert_close(losses['loss_seg'], balanced_cross_entropy(logits, mask))
    # The middle of a cell by nearest interpolation: its first pixel.
    label = dense_affinity_label(mask[:, ::16, ::16], radius=2)
    expected = 0.1 * dense_affinity_loss(affinity, label)
    torch.testing.assert_close(losses['loss_affinity'], expected)
    assert set(losses) == {'loss_seg', 'loss_affinity'}


def test_masks_hold_tags_alone_and_each_is_its_own_image_s():
    network = build().eval()
    images = torch.stack(batch()['inputs'])
    labels = [[1, 0, 1], [0, 1, 0]]
    together = masks_of(network, images, labels)
    assert together.shape == (2, 64, 96)
    assert set(together[0].unique().tolist()) <= {0, 1, 3}
    assert set(together[1].unique().tolist()) <= {0, 2}
    assert together.unique().numel() > 1
    for i in range(2):
        single = masks_of(network, images[i : i + 1], labels[i : i + 1])
        assert (single[0] == together[i]).float().mean() > 0.999


def test_an_image_without_tags_is_background():
    network = build()
    images = torch.stack(batch()['inputs'])
    for affinity in (None, torch.rand(2, 24, 24)):
        masks = masks_of(network, images, [[0, 0, 0], [0, 1, 0]], affinity)
        assert not masks[0].any()
    losses = losses_of(network, batch(labels=((0, 0, 0), (0, 0, 0))))
    assert all(loss.isfinite() for loss in losses.values())


def test_the_learnt_affinity_changes_the_masks():
    network = build()
    images = torch.stack(batch()['inputs'])
    labels = [[1, 0, 1], [0, 1, 0]]
    plain = masks_of(network, images, labels)
    weighed = masks_of(network, images, labels, torch.eye(24).expand(2, 24, 24))
    assert not torch.equal(plain, weighed)


def test_a_step_trains_the_head_and_nothing_else():
    network = build()
    learning = {name for name, p in network.named_parameters() if p.requires_grad}
    assert all(name.startswith('decode_head.') for name in learning)
    assert len(learning) == len(list(network.decode_head.parameters()))
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(network.decode_head.parameters(), lr=1.0)
    network.train_step(batch(), OptimWrapper(optimizer))
    for name, tensor in network.state_dict().items():
        same = torch.equal(tensor, before[name])
        assert same is not (name in learning), name


def test_masks_of_a_mixed_precision_training_are_made_in_full():
    network = build().eval()
    data = batch()
    images = torch.stack(data['inputs'])
    plain = masks_of(network, images, [[1, 0, 1], [0, 1, 0]])
    full = losses_of(network, data)
    for trusts in (False, True):
        network.trusts_affinity = trusts
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = masks_of(network, images, [[1, 0, 1], [0, 1, 0]])
            losses = losses_of(network, data)
        assert (mixed == plain).float().mean() > 0.9
        assert all(loss.dtype == torch.float32 for loss in losses.values())
        for name, loss in losses.items():
            assert float(loss) == pytest.approx(float(full[name]), rel=0.2)


def test_features_have_no_graph():
    network = build()
    output = network.backbone(torch.stack(batch()['inputs']))
    assert not any(one.requires_grad for one in output.maps)
    assert not network.backbone.training


@pytest.mark.parametrize('size', [(64, 96), (70, 100), (53, 75)])
def test_prediction_needs_no_tags(size):
    network = build().eval()
    data = batch(labels=(None, None), size=size, image_size=(61, 83))
    with torch.no_grad():
        samples = network.test_step(copy.deepcopy(data))
        logits = network.decode_head(network.backbone(torch.stack(data['inputs'])))
    assert logits.shape[2:] == (size[0] // 16, size[1] // 16)
    large = torch.nn.functional.interpolate(logits, (61, 83), mode='bilinear')
    for sample, expected in zip(samples, large):
        torch.testing.assert_close(sample.seg_logits.data, expected)
        assert torch.equal(sample.pred_sem_seg.data[0], expected.argmax(dim=0))


def test_windows_are_predicted_too():
    network = build(test_cfg=dict(mode='slide', crop_size=(48, 48), stride=(32, 32)))
    network.eval()
    with torch.no_grad():
        (sample,) = network.test_step(batch(labels=(None,), size=(64, 80)))
    assert sample.seg_logits.shape == (64, 80)


def test_the_decoder_is_trained_from_mask_files():
    config = {k: v for k, v in WECLIP.items() if k != 'pseudo_masks'}
    network = build(config, type='EncoderDecoder').eval()
    data = batch(masks=True)
    losses = losses_of(network, data)
    mask = torch.cat([s.gt_sem_seg.data for s in data['data_samples']])
    fused = network.decode_head.fused(network.backbone(torch.stack(data['inputs'])))
    expected = network.decode_head.mask_losses(fused, mask)
    assert set(losses) == {f'decode.{name}' for name in expected}
    for name, loss in expected.items():
        torch.testing.assert_close(losses[f'decode.{name}'], loss)
    with torch.no_grad():
        assert len(network.test_step(batch(labels=(None, None)))) == 2
    with pytest.raises(InputError, match=r'pond\.jpg: no mask to train on'):
        losses_of(network, batch())


def test_pixels_that_do_not_count():
    network = build().eval()
    fused = network.decode_head.fused(network.backbone(torch.rand(2, 3, 64, 96)))
    mask = torch.full((2, 64, 96), 255)
    losses = network.decode_head.mask_losses(fused, mask)
    assert all(loss == 0 for loss in losses.values())


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match='WeCLIP needs a WeCLIPHead'):
        build(decode_head=dict(type='DeepLabV2Head', in_channels=32, num_classes=4))
    with pytest.raises(InputError, match='WeCLIP needs CLIPPseudoMasks'):
        build(pseudo_masks=PLAIN)
    network = build()
    with pytest.raises(InputError, match='tags over 4 foreground classes'):
        losses_of(network, batch(labels=((1, 0, 0, 1), (0, 1, 0, 0))))
    with pytest.raises(InputError, match='no image tags'):
        losses_of(network, batch(labels=(None, None)))
    with pytest.raises(InputError, match='gives 2 maps, the head needs 3'):
        network.decode_head.fused(BackboneOutput((torch.rand(1, 32, 4, 4),) * 2))
    for changes, message in (
        (dict(box_threshold=1.0), 'box_threshold is 1.0'),
        (dict(layers=(0, 2)), r'layers is \(0, 2\)'),
        (dict(iterations=-1), 'iterations is -1'),
    ):
        with pytest.raises(InputError, match=message):
            build(pseudo_masks=dict(MASKS, **changes))
    deep = build(pseudo_masks=dict(MASKS, layers=(5, 2)))
    with pytest.raises(InputError, match=r'asks for 5 blocks.*have 4'):
        losses_of(deep, batch())
    network.dataset_meta = None
    with pytest.raises(InputError, match=r'reads the names of its 4 classes.*got 0'):
        losses_of(network, batch())
    plain = dict(type='ResNet', depth=18, stem_channels=4, base_channels=4)
    network = build(backbone=plain, decode_head=dict(HEAD, in_channels=[4, 8, 16, 32]))
    with pytest.raises(InputError, match='gives attention and class tokens'):
        losses_of(network, batch())
