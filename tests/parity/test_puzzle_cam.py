"""Puzzle-CAM and IRN's CAM, built from their configs, against recorded numbers."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.structures import SegDataSample
from torch import nn
from torch.testing import assert_close

import wsss_mm.engine
import wsss_mm.models  # noqa: F401
from wsss_mm.functional import merge_tiles
from wsss_mm.models.testing import predicted_maps
from wsss_mm.registry import MODELS, PARAM_SCHEDULERS


@pytest.mark.parametrize('backbone', ['resnet50', 'resnest50', 'resnest101'])
def test_cam_and_tag_scores(backbone, network, reference_weights, golden, assert_maps):
    recorded = golden(f'net_puzzle_{backbone}_96x128')
    model = network(f'net_puzzle_{backbone}_96x128')
    with torch.no_grad():
        features = model.extract_feat(reference_weights.network_input(1, 96, 128))
        assert_maps(model.decode_head(features), recorded['features'])
        _, logits = predicted_maps(model.decode_head, features, (96, 128))
    assert_maps(logits, recorded['logits'])


@pytest.mark.parametrize(
    ('backbone', 'sizes'),
    [
        ('r50', (106, 53, 1, 0)),
        ('resnest50', (158, 103, 1, 0)),
        ('resnest101', (311, 205, 1, 0)),
        ('resnest269', (815, 541, 1, 0)),
    ],
)
def test_size_and_parameter_groups(root, backbone, sizes):
    cfg = Config.fromfile(root / f'configs/puzzle_cam/puzzle_cam_{backbone}_voc.py')
    cfg.model.backbone.init_cfg = None
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    published = dict(
        r50=23548992, resnest50=25475200, resnest101=46266976, resnest269=108921440
    )
    assert sum(p.numel() for p in model.parameters()) == published[backbone]
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    found = [0, 0, 0, 0]
    kinds = [(0.1, 1e-4), (0.2, 0), (1.0, 1e-4), (2.0, 0)]
    for group in groups:
        kind = (pytest.approx(group['lr']), group['weight_decay'])
        found[kinds.index(kind)] += len(group['params'])
    assert tuple(found) == sizes


@pytest.fixture(scope='module')
def step(build_config, reference_weights, golden):
    """One training step of the released code's, and of ours."""
    recorded = golden('e2e_puzzle_train_step')
    model = build_config('puzzle_cam/puzzle_cam_r50_voc.py').eval()
    reference_weights.load_filled(model, 'puzzle_resnet50', rule='b', classes=20)
    model.decode_head.reconstruction_weight = float(recorded['alpha'])
    samples = []
    for labels in recorded['label']:
        sample = SegDataSample()
        sample.image_labels = torch.from_numpy(labels)
        samples.append(sample)
    data = dict(inputs=list(torch.from_numpy(recorded['input'])), data_samples=samples)
    batch = model.data_preprocessor(data, True)
    losses = model.loss(batch['inputs'], batch['data_samples'])
    with torch.no_grad():
        tiles = model.extract_feat(batch['inputs']['tiles'].image)
        merged = merge_tiles(model.decode_head(tiles), 4)
    total, _ = model.parse_losses(losses)
    total.backward()
    return dict(model=model, losses=losses, total=total, merged=merged)


class TestTrainingStep:
    def test_losses(self, step, golden):
        recorded = golden('e2e_puzzle_train_step')
        alpha = recorded['alpha']
        for ours, theirs, factor in (
            ('loss_cls', 'loss_cls', 1),
            ('loss_p_cls', 'loss_p_cls', 1),
            ('loss_re', 'loss_re', alpha),
        ):
            expected = float(recorded[theirs] * factor)
            assert step['losses'][ours].item() == pytest.approx(expected, rel=1e-4)
        assert step['total'].item() == pytest.approx(float(recorded['loss']), rel=1e-4)

    def test_merged_maps(self, step, golden, assert_maps):
        assert_maps(step['merged'], golden('e2e_puzzle_train_step')['merged'])

    def test_gradients(self, step, golden):
        recorded = golden('e2e_puzzle_train_step')
        found = step['model'].decode_head.classifier.weight.grad[:, :64, 0, 0]
        expected = torch.from_numpy(recorded['grad_classifier'])
        scale = expected.abs().max().item()
        assert_close(found, expected, rtol=1e-3, atol=1e-4 * scale)
        norm = step['model'].backbone.conv1.weight.grad.norm().item()
        assert norm == pytest.approx(float(recorded['grad_conv1_norm']), rel=1e-3)


class Scalars(nn.Module):
    """Two scalars of the first group and one of the last."""

    def __init__(self, init):
        super().__init__()
        self.backbone = nn.Linear(2, 1, bias=False)
        self.decode_head = nn.Linear(1, 1)
        self.decode_head.weight.requires_grad = False
        with torch.no_grad():
            self.backbone.weight.copy_(init[:2])
            self.decode_head.bias.copy_(init[2:])


def test_twelve_steps(root, golden):
    recorded = golden('puzzle_poly_sgd')
    config = Config.fromfile(root / 'configs/_base_/schedules/puzzle_cam.py')
    optimizer = config.optim_wrapper.optimizer
    assert optimizer.lr == recorded['base_lr']
    assert optimizer.weight_decay == recorded['weight_decay']
    # No method has a bias in its classifier; the reference would give it 20x.
    keys = config.optim_wrapper.paramwise_cfg.custom_keys
    keys['decode_head.bias'] = dict(lr_mult=20.0, decay_mult=0.0)
    model = Scalars(torch.from_numpy(recorded['init']))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    (schedule,) = config.param_scheduler
    scheduler = PARAM_SCHEDULERS.build(
        {**schedule, 'optimizer': wrapper, 'end': int(recorded['max_step'])}
    )
    rates, values = [], []
    for grads in torch.from_numpy(recorded['grads']):
        model.backbone.weight.grad = grads[:2].reshape(1, 2).clone()
        model.decode_head.bias.grad = grads[2:].clone()
        rates.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        scheduler.step()
        parts = (model.backbone.weight, model.decode_head.bias)
        values.append(torch.cat([p.detach().flatten() for p in parts]).numpy())
    rates = [sorted(set(row)) for row in rates]
    np.testing.assert_allclose(rates, recorded['lr_used'], rtol=1e-9)
    np.testing.assert_allclose(values, recorded['params'], rtol=1e-5, atol=1e-6)


def test_irn_tag_scores(network, reference_weights, golden, assert_maps):
    model = network('net_irn_r50cam_97x129')
    with torch.no_grad():
        features = model.extract_feat(reference_weights.network_input(1, 97, 129))
        _, logits = predicted_maps(model.decode_head, features, (97, 129))
    assert_maps(logits, golden('net_irn_r50cam_97x129')['logit'])


def test_irn_trains_the_last_two_stages_only(build_config):
    model = build_config('cam/cam_r50_voc.py').train()
    trained = {n.split('.')[1] for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {'layer3', 'layer4', 'classifier'}
    assert not any(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))
