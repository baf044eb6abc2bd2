import pytest
import torch
from mmengine.config import Config

from wsss_mm.utils import precision
from wsss_mm.utils.errors import InputError


def test_a_cpu_computes_in_bfloat16_where_asked():
    one = torch.ones(2, 2)
    for enabled, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        with precision.autocast_on('cpu', enabled=enabled):
            assert (one @ one).dtype == dtype


def test_training_needs_a_gpu(monkeypatch):
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', clip_grad=None)))
    monkeypatch.setattr(precision, 'get_device', lambda: 'cpu')
    with pytest.raises(InputError, match='needs a GPU'):
        precision.train_in_half(cfg)
    monkeypatch.setattr(precision, 'get_device', lambda: 'cuda')
    precision.train_in_half(cfg)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', loss_scale='dynamic', clip_grad=None
    )


def test_prediction_is_a_setting_of_the_test_loop():
    cfg = Config(dict(test_cfg=dict(type='TestLoop')))
    assert not precision.predicts_in_half(cfg)
    precision.predict_in_half(cfg)
    assert precision.predicts_in_half(cfg)
    assert not precision.predicts_in_half(Config(dict(test_cfg=None)))
