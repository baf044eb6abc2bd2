from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.checkpoints.checkpoint_file import newest_whole
from wsss_mm.registry import HOOKS, MODELS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module('test_SpoilLoss', force=True)
class SpoilLoss(Hook):
    """Make the weights not finite before an iteration, and so its loss."""

    def __init__(self, at, value):
        self.at, self.value = at, float(value)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == self.at:
            for parameter in runner.model.decode_head.parameters():
                parameter.data.fill_(self.value)


@pytest.fixture
def cfg(cam_config):
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    cam_config.default_hooks.checkpoint.interval = 1
    cam_config.train_cfg.max_iters = 4
    return cam_config


@pytest.mark.parametrize('at', [0, 2, 3])
@pytest.mark.parametrize('value', ['nan', 'inf'])
def test_the_first_loss_that_is_not_finite(cfg, at, value):
    cfg.custom_hooks = [dict(type='mmseg.test_SpoilLoss', at=at, value=value)]
    with pytest.raises(InputError, match=rf'loss.* is (nan|inf) in iteration {at + 1}'):
        Runner.from_cfg(cfg).train()
    work = Path(cfg.work_dir)
    assert newest_whole(work) == (work / f'iter_{at}.pth' if at else None)
    assert not list(work.glob('*-*.pth'))


def test_weights_to_start_from(cfg, tmp_path):
    weights = MODELS.build(cfg.model).state_dict()
    name = [key for key in weights if weights[key].is_floating_point()][3]
    weights[name][0] = float('nan')
    torch.save(weights, tmp_path / 'w.pth')
    cfg.load_from = str(tmp_path / 'w.pth')
    with pytest.raises(InputError, match=rf'not finite: {name} .*w\.pth'):
        Runner.from_cfg(cfg).train()
