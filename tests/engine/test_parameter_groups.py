"""The four parameter groups of the reference, as the schedules configure them."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from torch import nn

import wsss_mm.models  # noqa: F401


class Seam(nn.Module):
    """SEAM's tensors without memory."""

    def __init__(self):
        super().__init__()
        with torch.device('meta'):
            self.backbone = MODELS.build(dict(type='ResNet38d'))
            self.neck = MODELS.build(dict(type='PCMNeck'))
            self.decode_head = MODELS.build(
                dict(type='SEAMHead', in_channels=4096, num_classes=21)
            )


class DeepLab(nn.Module):
    """A retraining network's tensors without memory."""

    def __init__(self, model):
        super().__init__()
        with torch.device('meta'):
            self.backbone = MODELS.build({**model.backbone, 'init_cfg': None})
            self.decode_head = MODELS.build({**model.decode_head, 'num_classes': 21})


def groups(root, schedule, model):
    path = root / f'configs/_base_/schedules/{schedule}.py'
    wrapper = build_optim_wrapper(model, Config.fromfile(path).optim_wrapper)
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group['lr'], group['weight_decay'], p.numel())
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }, wrapper.optimizer.defaults


def test_seam_groups(root):
    found, defaults = groups(root, 'seam_poly', Seam())
    old = {n: v for n, v in found.items() if n.startswith('backbone.')}
    new = {n: v for n, v in found.items() if not n.startswith('backbone.')}
    # The released code also lists its 8 frozen convolutions, which never move.
    assert len(old) == 43 - 8
    assert sum(v[2] for v in old.values()) == 104_489_536 - 287_296
    assert {v[:2] for v in old.values()} == {(0.01, 5e-4)}
    assert sum(v[2] for v in new.values()) == 287_296
    assert set(new) == {
        'neck.f8_3.weight',
        'neck.f8_4.weight',
        'neck.f9.weight',
        'decode_head.classifier.weight',
    }
    assert {v[:2] for v in new.values()} == {(0.1, 5e-4)}
    assert defaults['momentum'] == 5e-4
    assert not defaults['nesterov']
    assert defaults['dampening'] == 0


def test_deeplabv1_groups(root):
    config = Config.fromfile(root / 'configs/_base_/models/deeplabv1_r38.py')
    found, defaults = groups(root, 'deeplabv1_20k', DeepLab(config.model))
    old = {n: v for n, v in found.items() if n.startswith('backbone.')}
    # All 43 convolutions train, conv1a included; no normalisation layer does.
    assert len(old) == 43
    assert {v[:2] for v in old.values()} == {(0.001, 5e-4)}
    new = {n: v[:2] for n, v in found.items() if not n.startswith('backbone.')}
    rates = {name: pytest.approx((0.01, 5e-4)) for name in new}
    rates['decode_head.conv_seg.bias'] = (0.02, 0.0)
    assert new == rates
    assert len(new) == 4
    assert defaults['momentum'] == 0.9


@pytest.mark.parametrize(
    ('model', 'schedule', 'rate', 'biases'),
    [
        ('deeplabv2_r101', 'deeplabv2_20k', 2.5e-4, 4),
        ('deeplabv3plus_r50', 'deeplabv3plus_30k', 0.007, 1),
    ],
)
def test_other_retraining_groups(root, model, schedule, rate, biases):
    config = Config.fromfile(root / f'configs/_base_/models/{model}.py')
    found, _ = groups(root, schedule, DeepLab(config.model))
    head = {n: v for n, v in found.items() if n.startswith('decode_head.')}
    doubled = [n for n, v in head.items() if v[0] == pytest.approx(20 * rate)]
    assert len(doubled) == biases
    assert all(n.endswith('bias') and found[n][1] == 0 for n in doubled)
    others = {v[0] for n, v in head.items() if n not in doubled}
    assert others == {10 * rate}
    old = {v[0] for n, v in found.items() if n not in head}
    assert old == {rate}


def test_puzzle_cam_s_retraining_groups(root):
    """The reference sorts by name: the head or not, a weight or a bias."""
    config = Config.fromfile(root / 'configs/_base_/models/deeplabv3plus_resnest101.py')
    found, defaults = groups(root, 'deeplabv3plus_puzzle_cam', DeepLab(config.model))
    sizes = {}
    for name, (rate, decay, _) in found.items():
        head, bias = name.startswith('decode_head.'), name.endswith('bias')
        assert rate == pytest.approx(0.007 * (10 if head else 1) * (2 if bias else 1))
        assert decay == (0 if bias else 4e-5)
        sizes[head, bias] = sizes.get((head, bias), 0) + 1
    # Nine convolutions and their group normalisations, and the classifier.
    assert sizes == {
        (False, False): 311,
        (False, True): 205,
        (True, False): 19,
        (True, True): 10,
    }
    assert defaults['momentum'] == 4e-5


@pytest.mark.parametrize('network', ['r38', 'vgg16'])
def test_affinity_groups(root, network):
    config = Config.fromfile(root / f'configs/_base_/models/affinity_{network}.py')
    config.model.backbone.init_cfg = None
    config.model.data_preprocessor = None
    with torch.device('meta'):
        model = MODELS.build(config.model)
    found, defaults = groups(root, 'affinity_poly', model)
    rates = {}
    for name, (rate, decay, _) in found.items():
        rates.setdefault((round(rate, 6), decay), []).append(name)
    new = rates.pop((0.1, 5e-4))
    embed = [f'decode_head.embed.{i}.weight' for i in range(3)]
    assert sorted(new) == [*embed, 'decode_head.fuse.weight']
    sizes = {key: len(names) for key, names in rates.items()}
    # VGG-16: 15 weights and biases less 4 frozen ones, and three normalisations.
    expected = {'r38': {(0.01, 5e-4): 35}, 'vgg16': {(0.01, 5e-4): 14, (0.02, 0.0): 14}}
    assert sizes == expected[network]
    assert defaults['momentum'] == 5e-4
