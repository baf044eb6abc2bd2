"""VGG-16's two forms against a rebuild with torch alone, on narrow networks."""

import pytest
import torch
from mmseg.structures import SegDataSample
from torch import nn

from wsss_mm.datasets.transforms.colour import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalize_image,
)
from wsss_mm.models.backbones import vgg16_wsss
from wsss_mm.models.backbones.vgg16_wsss import VGG16WSSS, VGG16SeeNet
from wsss_mm.registry import MODELS

FORMS = pytest.mark.parametrize('kind', [VGG16WSSS, VGG16SeeNet])
NAMES = [
    *('conv1_1', 'conv1_2', 'conv2_1', 'conv2_2'),
    *('conv3_1', 'conv3_2', 'conv3_3', 'conv4_1', 'conv4_2', 'conv4_3'),
    *('conv5_1', 'conv5_2', 'conv5_3'),
]


@pytest.fixture
def narrow(monkeypatch):
    """Make either form with few channels and lively weights."""
    stages = ((3, 4), (4, 5), (5, 6, 5), (6, 7, 6), (7, 6, 8))
    monkeypatch.setattr(vgg16_wsss, 'STAGES', stages)
    monkeypatch.setattr(vgg16_wsss, 'FC_CHANNELS', 9)

    def make(kind, **settings):
        torch.manual_seed(0)
        net = kind(**settings)
        net.init_weights()
        for name, parameter in net.named_parameters():
            if name.endswith('bias'):
                nn.init.normal_(parameter, std=0.1)
        return net.eval()

    return make


def convolve(net, name, *, padding, dilation=1):
    source = getattr(net, name)
    width, inputs, kernel, _ = source.weight.shape
    conv = nn.Conv2d(inputs, width, kernel, padding=padding, dilation=dilation)
    conv.load_state_dict(source.state_dict())
    return [conv, nn.ReLU()]


def stage(net, number, **settings):
    names = [name for name in NAMES if name.startswith(f'conv{number}')]
    return [part for name in names for part in convolve(net, name, **settings)]


def rebuild_psa(net, dilation):
    plain = dict(padding=1)
    to_conv4 = []
    for number in (1, 2, 3):
        to_conv4 += [*stage(net, number, **plain), nn.MaxPool2d(3, 2, 1)]
    to_conv4 += stage(net, 4, **plain)
    to_conv5 = [nn.MaxPool2d(3, 1, 1), *stage(net, 5, padding=2, dilation=2)]
    to_fc = convolve(net, 'fc6', padding=dilation, dilation=dilation)
    to_fc += convolve(net, 'fc7', padding=0)
    return to_conv4, to_conv5, to_fc


def rebuild_seenet(net):
    parts = [stage(net, number, padding=1) for number in (1, 2, 3, 4, 5)]
    pool = nn.MaxPool2d(2, 2, ceil_mode=True)
    to_conv3 = [*parts[0], pool, *parts[1], pool, *parts[2]]
    return to_conv3, [pool, *parts[3]], [pool, *parts[4]]


def check_taps(net, rebuilt, size):
    x = torch.randn(2, 3, *size)
    before = x.clone()
    found = net(x)
    assert torch.equal(x, before)
    expected = x
    for tap, layers in zip(found, rebuilt, strict=True):
        expected = nn.Sequential(*layers)(expected)
        assert (tap > 0).any()
        torch.testing.assert_close(tap, expected)


@pytest.mark.parametrize('dilation', [1, 4])
def test_affinitynets_form_equals_its_rebuild(narrow, dilation):
    net = narrow(VGG16WSSS, fc6_dilation=dilation)
    check_taps(net, rebuild_psa(net, dilation), (37, 50))


def test_seenets_form_equals_its_rebuild(narrow):
    net = narrow(VGG16SeeNet)
    check_taps(net, rebuild_seenet(net), (37, 50))


def test_output_sizes(narrow):
    x = torch.zeros(1, 3, 33, 70)
    # 33 -> 17 -> 9 -> 5 and 70 -> 35 -> 18 -> 9.
    sizes = [tuple(tap.shape[1:]) for tap in narrow(VGG16WSSS)(x)]
    assert sizes == [(6, 5, 9), (8, 5, 9), (9, 5, 9)]
    # Once more for the last: 5 -> 3 and 9 -> 5.
    sizes = [tuple(tap.shape[1:]) for tap in narrow(VGG16SeeNet)(x)]
    assert sizes == [(5, 9, 18), (6, 5, 9), (8, 3, 5)]


def test_names_and_counts_are_the_released_networks():
    with torch.device('meta'):
        psa = MODELS.build(dict(type='VGG16WSSS'))
        seenet = MODELS.build(dict(type='VGG16SeeNet'))
    # The classifier's 20,504,384 without the 20 x 1024 weights of its head.
    assert sum(p.numel() for p in psa.parameters()) == 20_504_384 - 20 * 1024
    both = {f'{name}.{part}' for name in NAMES for part in ('weight', 'bias')}
    assert set(seenet.state_dict()) == both
    fc = {f'{name}.{part}' for name in ('fc6', 'fc7') for part in ('weight', 'bias')}
    assert set(psa.state_dict()) == both | fc
    assert sum(p.numel() for p in seenet.parameters()) == 14_714_688


@FORMS
@pytest.mark.parametrize('stages', range(6))
def test_frozen_stages(narrow, kind, stages):
    net = narrow(kind, frozen_stages=stages).train()
    for name, parameter in net.named_parameters():
        own = int(name[4]) if name.startswith('conv') else 6
        assert parameter.requires_grad == (own > stages), name


def test_what_is_frozen_by_default(narrow):
    frozen = {n for n, p in narrow(VGG16WSSS).named_parameters() if not p.requires_grad}
    assert {name.split('.')[0] for name in frozen} == set(NAMES[:4])
    assert all(p.requires_grad for p in narrow(VGG16SeeNet).parameters())


@FORMS
def test_the_trained_layers_get_gradients(narrow, kind):
    net = narrow(kind, frozen_stages=2)
    sum(tap.sum() for tap in net(torch.randn(1, 3, 40, 40))).backward()
    for name, parameter in net.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_dropout_takes_whole_channels_before_fc7(narrow):
    net = narrow(VGG16WSSS, dropout_ratio=0.5).train()
    seen = []
    net.fc7.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.randn(1, 3, 40, 40)
    conv4, conv5, _ = net(x)
    after = torch.relu(net.fc6(conv5))
    kept = seen[0].flatten(2).any(dim=2)
    expected = 2 * after * kept[:, :, None, None]
    torch.testing.assert_close(seen[0], expected)
    assert 0 < kept.sum() < after.flatten(2).any(dim=2).sum()


@FORMS
def test_bad_frozen_stages_are_refused(kind):
    with pytest.raises(ValueError, match=r'0\.\.5.*got 6'):
        kind(frozen_stages=6)


@pytest.mark.parametrize(
    'mean', [(104.008, 116.669, 122.675), (104.007, 116.669, 122.679)]
)
def test_the_documented_preprocessor_restores_bgr_without_its_mean(mean):
    preprocess = MODELS.build(
        dict(
            type='SegDataPreProcessor',
            size_divisor=1,
            rgb_to_bgr=True,
            mean=[
                (mean[0] - 103.53) / 57.375,
                (mean[1] - 116.28) / 57.12,
                (mean[2] - 123.675) / 58.395,
            ],
            std=[1 / 57.375, 1 / 57.12, 1 / 58.395],
        )
    )
    image = torch.randint(0, 256, (8, 9, 3)).numpy().astype('uint8')
    normalised = normalize_image(image, IMAGENET_MEAN, IMAGENET_STD)
    inputs = torch.from_numpy(normalised).permute(2, 0, 1)
    sample = SegDataSample(metainfo=dict(img_shape=(8, 9)))
    data = preprocess(dict(inputs=[inputs], data_samples=[sample]), True)
    blue_first = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    expected = blue_first.float() - torch.tensor(mean)[:, None, None]
    torch.testing.assert_close(data['inputs'][0], expected, rtol=0, atol=1e-4)
