import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.testing import assert_close

from wsss_mm.models.decode_heads.deeplabv1_head import DeepLabV1Head
from wsss_mm.models.decode_heads.deeplabv2_head import DeepLabV2Head
from wsss_mm.registry import MODELS


def build_v1(**settings):
    torch.manual_seed(0)
    settings = dict(in_channels=6, channels=8, num_classes=5) | settings
    head = MODELS.build(dict(type='DeepLabV1Head', **settings))
    head.init_weights()
    return head


def build_v2(**settings):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='DeepLabV2Head', in_channels=6, num_classes=5, **settings)
    )
    head.init_weights()
    return head


HEADS = pytest.mark.parametrize('build', [build_v1, build_v2])


@pytest.fixture
def features():
    torch.manual_seed(1)
    return (torch.zeros(2, 3, 20, 20), torch.randn(2, 6, 9, 11))


def make_samples(labels):
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


@pytest.fixture
def labels():
    torch.manual_seed(2)
    labels = torch.randint(0, 5, (2, 65, 81))
    labels[torch.rand(labels.shape) < 0.7] = 255
    return labels


def test_v1_follows_its_definition(features):
    head = build_v1(dilation=3).eval()
    for name, tensor in head.state_dict().items():
        if '.bn.' in name and tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    x = features[1]
    for module, size in ((head.conv_fov, 3), (head.conv_fov2, 0)):
        assert module.conv.bias is None
        x = F.conv2d(x, module.conv.weight, padding=size, dilation=size or 1)
        x = F.batch_norm(
            x,
            module.bn.running_mean,
            module.bn.running_var,
            module.bn.weight,
            module.bn.bias,
        ).clamp(min=0)
    expected = F.conv2d(x, head.conv_seg.weight, head.conv_seg.bias)
    torch.testing.assert_close(head(features), expected)


def test_v1_defaults_are_the_released_ones():
    head = DeepLabV1Head(4096, num_classes=21)
    assert head.conv_fov.conv.weight.shape == (512, 4096, 3, 3)
    assert head.conv_fov.conv.dilation == (12, 12)
    assert head.conv_fov2.conv.weight.shape == (512, 512, 1, 1)
    assert head.conv_fov.bn.momentum == head.conv_fov2.bn.momentum == 3e-4
    assert not head.conv_fov.bn.weight.requires_grad
    assert head.align_corners


def test_v1_drops_single_elements():
    head = build_v1(channels=64).train()
    kept = []
    head.conv_seg.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    head.dropout.register_forward_pre_hook(lambda _, args: (torch.ones(2, 64, 9, 9),))
    head((torch.randn(2, 6, 9, 9),))
    zero = (kept[0] == 0).float()
    assert zero.mean() == pytest.approx(0.5, abs=0.05)
    per_channel = zero.mean(dim=(2, 3))
    assert per_channel.min() > 0
    assert per_channel.max() < 1


def test_v1_initialisation_is_kaiming_over_the_fan_out():
    head = build_v1(in_channels=32, channels=64)
    for conv in (head.conv_fov.conv, head.conv_fov2.conv, head.conv_seg):
        fan_out = conv.weight[:, 0].numel()
        expected = (2 / fan_out) ** 0.5
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.15)


def test_v2_follows_its_definition(features):
    head = build_v2().eval()
    for branch in head.conv_seg.branches:
        nn.init.normal_(branch.bias)
    expected = sum(
        F.conv2d(features[1], b.weight, b.bias, padding=rate, dilation=rate)
        for b, rate in zip(head.conv_seg.branches, (6, 12, 18, 24))
    )
    torch.testing.assert_close(head(features), expected)


def test_v2_has_no_parameter_it_does_not_use():
    head = build_v2()
    assert sum(p.numel() for p in head.parameters()) == 4 * (5 * 6 * 9 + 5)
    head((torch.randn(1, 6, 50, 50),)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in head.parameters())


def test_v2_initialisation():
    head = MODELS.build(dict(type='DeepLabV2Head', in_channels=64, num_classes=21))
    head.init_weights()
    for branch in head.conv_seg.branches:
        assert branch.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert not branch.bias.any()


def test_v2_without_dilations_is_refused():
    with pytest.raises(ValueError, match='dilations is empty'):
        DeepLabV2Head(6, num_classes=5, dilations=())


@HEADS
def test_loss_is_the_mean_over_labelled_pixels(build, features, labels):
    head = build(dropout_ratio=0.0).train()
    before = [x.clone() for x in features]
    losses = head.loss(features, make_samples(labels), {})
    assert set(losses) == {'loss_ce', 'acc_seg'}
    logits = F.interpolate(
        head(features), labels.shape[1:], mode='bilinear', align_corners=True
    )
    expected = F.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(losses['loss_ce'], expected)
    assert all(torch.equal(x, y) for x, y in zip(features, before))


@HEADS
def test_a_batch_without_labelled_pixels_costs_nothing(build, features, labels):
    head = build().train()
    samples = make_samples(torch.full_like(labels, 255))
    loss = head.loss(features, samples, {})['loss_ce']
    loss.backward()
    assert loss == 0
    assert all(p.grad is None or not p.grad.any() for p in head.parameters())


@HEADS
def test_a_step_trains_it(build, features, labels):
    head = build(dropout_ratio=0.0).train()
    before = copy.deepcopy(head.state_dict())
    optimizer = torch.optim.SGD(
        [p for p in head.parameters() if p.requires_grad], lr=0.1
    )
    costs = []
    for _ in range(5):
        loss = head.loss(features, make_samples(labels), {})['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        costs.append(loss.item())
    assert costs[-1] < costs[0]
    for name, tensor in head.state_dict().items():
        fixed = '.bn.' in name and name.endswith(('weight', 'bias'))
        assert torch.equal(tensor, before[name]) == fixed, name


@HEADS
def test_predictions_have_the_size_of_the_image(build, features):
    head = build().eval()
    logits = head.predict(features, [dict(img_shape=(33, 41))] * 2, {})
    expected = F.interpolate(
        head(features), (33, 41), mode='bilinear', align_corners=True
    )
    torch.testing.assert_close(logits, expected)


def build_v3plus(**settings):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='DeepLabV3PlusHead',
            in_channels=(3, 6),
            in_index=(0, 1),
            channels=8,
            low_channels=4,
            dilations=(1, 2),
            num_classes=5,
            **settings,
        )
    )
    head.init_weights()
    return head


def by_definition(head, low, deep):
    """DeepLabV3+, layer by layer, without dropout."""

    def layer(module, x):
        conv = module.conv
        padding, dilation = conv.padding[0], conv.dilation[0]
        x = F.conv2d(x, conv.weight, padding=padding, dilation=dilation)
        return F.group_norm(x, 4, module.gn.weight, module.gn.bias).clamp(min=0)

    parts = [layer(branch, deep) for branch in head.aspp]
    assert [branch.conv.kernel_size[0] for branch in head.aspp] == [1, 3]
    mean = layer(head.pool, deep.mean(dim=(2, 3), keepdim=True))
    parts.append(mean.expand_as(parts[0]))
    x = layer(head.bottleneck, torch.cat(parts, dim=1))
    x = F.interpolate(x, low.shape[-2:], mode='bilinear', align_corners=True)
    x = torch.cat([x, layer(head.reduce, low)], dim=1)
    for module in head.fuse:
        x = layer(module, x)
    return F.conv2d(x, head.conv_seg.weight, head.conv_seg.bias)


def test_v3plus_follows_its_definition():
    head = build_v3plus().eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    low, deep = torch.randn(2, 3, 12, 9), torch.randn(2, 6, 3, 3)
    expected = by_definition(head, low, deep)
    assert_close(head((low, deep)), expected, rtol=1e-4, atol=1e-5)


def test_v3plus_initialisation_is_kaiming_over_the_fan_in():
    head = MODELS.build(dict(type='DeepLabV3PlusHead', num_classes=21))
    head.init_weights()
    kernels = [m.weight for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert len(kernels) == 10
    for kernel in kernels:
        # Fan in and fan out differ by more than this for all but one of them.
        expected = (2 / kernel[0].numel()) ** 0.5
        assert kernel.std().item() == pytest.approx(expected, rel=0.05)
    assert all(
        (m.weight == 1).all() for m in head.modules() if hasattr(m, 'num_groups')
    )


def test_v3plus_drops_elements_while_training():
    head = build_v3plus()
    low, deep = torch.randn(2, 3, 12, 9), torch.randn(2, 6, 3, 3)
    assert not torch.equal(head((low, deep)), head((low, deep)))
    head.eval()
    assert torch.equal(head((low, deep)), head((low, deep)))


def test_v3plus_counts_only_labelled_pixels(labels):
    head = build_v3plus().eval()
    features = (torch.randn(2, 3, 12, 9), torch.randn(2, 6, 3, 3))
    losses = head.loss(features, make_samples(labels), dict())
    logits = F.interpolate(
        head(features), labels.shape[-2:], mode='bilinear', align_corners=True
    )
    expected = F.cross_entropy(logits, labels, ignore_index=255)
    assert_close(losses['loss_ce'], expected)
    losses['loss_ce'].backward()
    assert all(p.grad is not None for p in head.parameters())
