"""A training that was cut off and resumed equals one that was not, bit for bit."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.checkpoints.random_state import random_state, set_random_state
from wsss_mm.workflow.resume import start_from


@pytest.fixture
def cfg(cam_config):
    """Saved after every step; dropout draws in the process, the data in workers."""
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    cam_config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    cam_config.train_cfg.max_iters = 6
    return cam_config


def with_workers(cfg, workers, *, persistent=True):
    cfg.train_dataloader.num_workers = workers
    cfg.train_dataloader.persistent_workers = persistent and workers > 0
    return cfg


def train(cfg, *, resume=False):
    start_from(cfg, resume=resume)
    runner = Runner.from_cfg(cfg)
    runner.model.decode_head.register_forward_pre_hook(drop)
    runner.train()
    return runner


def drop(module, inputs):
    """Dropout, and what else draws from each generator of the process."""
    scale = np.random.uniform(0.9, 1.1) + random.random() / 10  # noqa: NPY002
    head, *others = inputs
    dropped = [torch.dropout(x, 0.5, module.training) * scale for x in head]
    return (
        type(head)(dropped) if isinstance(head, (list, tuple)) else dropped,
        *others,
    )


def cut_back(cfg, step, unit='iter'):
    """Leave what a training that is killed after an iteration or epoch leaves."""
    work = Path(cfg.work_dir)
    for path in work.glob('*.pth'):
        if path.stem not in {f'{unit}_{i}' for i in range(1, step + 1)}:
            path.unlink()


def content(work, name):
    """What a training leaves: weights and the optimizer's state, all tensors."""
    saved = read_checkpoint(Path(work, name))
    found = {f'weights.{k}': v for k, v in saved['state_dict'].items()}
    for number, part in saved['optimizer']['state'].items():
        found |= {f'optimizer.{number}.{k}': v for k, v in part.items()}
    return {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}


def differences(found, whole):
    assert found.keys() == whole.keys()
    return [name for name in whole if not torch.equal(found[name], whole[name])]


@pytest.mark.parametrize(
    ('workers', 'persistent'), [(0, False), (2, True), (2, False), (3, True)]
)
def test_every_break_gives_the_same_training(cfg, workers, persistent):
    with_workers(cfg, workers, persistent=persistent)
    train(cfg)
    whole = content(cfg.work_dir, 'iter_6.pth')
    assert any(name.startswith('optimizer.') for name in whole)
    for step in (4, 1):
        cut_back(cfg, step)
        runner = train(cfg, resume=True)
        assert runner.iter == 6
        assert not differences(content(cfg.work_dir, 'iter_6.pth'), whole), step


def test_two_breaks(cfg):
    with_workers(cfg, 2)
    train(cfg)
    whole = content(cfg.work_dir, 'iter_6.pth')
    cut_back(cfg, 1)
    cfg.train_cfg.max_iters = 4
    train(cfg, resume=True)
    cfg.train_cfg.max_iters = 6
    cut_back(cfg, 3)
    train(cfg, resume=True)
    assert not differences(content(cfg.work_dir, 'iter_6.pth'), whole)


@pytest.mark.parametrize(
    ('workers', 'persistent'), [(0, False), (2, True), (2, False), (3, True)]
)
def test_epochs(cfg, workers, persistent):
    """Three images in batches of two: the third worker never makes any."""
    with_workers(cfg, workers, persistent=persistent)
    cfg.train_dataloader.sampler.type = 'DefaultSampler'
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=9)
    cfg.default_hooks.checkpoint.by_epoch = True
    for schedule in cfg.param_scheduler:
        schedule.update(by_epoch=True, begin=0, end=4)
    train(cfg)
    whole = content(cfg.work_dir, 'epoch_4.pth')
    for step in (3, 1):
        cut_back(cfg, step, 'epoch')
        train(cfg, resume=True)
        assert not differences(content(cfg.work_dir, 'epoch_4.pth'), whole), step


def test_cut_off_inside_an_epoch_is_said_to_differ(cfg, caplog):
    cfg.train_dataloader.sampler.type = 'DefaultSampler'
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=9)
    train(cfg)
    cut_back(cfg, 1)
    train(cfg, resume=True)
    assert 'saved inside an epoch' in caplog.text


def test_the_test_sees_what_is_not_restored(cfg):
    """Without the states the weights differ: augmentation and dropout matter."""
    train(with_workers(cfg, 0))
    whole = content(cfg.work_dir, 'iter_6.pth')
    cut_back(cfg, 3)
    cfg.default_hooks.pop('random_state')
    train(cfg, resume=True)
    assert differences(content(cfg.work_dir, 'iter_6.pth'), whole)


def test_validation_changes_nothing(cam_config):
    cam_config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    cam_config.train_cfg.update(max_iters=4, val_interval=2)
    train(cam_config)
    whole = content(cam_config.work_dir, 'iter_4.pth')
    cut_back(cam_config, 2)
    train(cam_config, resume=True)
    assert not differences(content(cam_config.work_dir, 'iter_4.pth'), whole)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_training_without_a_break_is_as_it_was(cfg, workers):
    """The numbers drawn are those of MMEngine, which published figures come from."""
    with_workers(cfg, workers)
    found = []
    for _ in range(2):
        train(cfg)
        found.append(content(cfg.work_dir, 'iter_6.pth'))
        cfg.default_hooks.pop('random_state', None)
    assert not differences(*found)


def test_other_workers_are_said_to_differ(cfg, caplog):
    train(with_workers(cfg, 0))
    cut_back(cfg, 3)
    train(with_workers(cfg, 2), resume=True)
    assert 'it was saved with 0 workers' in caplog.text


def test_checkpoints_without_states_are_said_to_differ(cfg, caplog):
    hook = cfg.default_hooks.pop('random_state')
    train(cfg)
    cut_back(cfg, 5)
    cfg.default_hooks.random_state = hook
    train(cfg, resume=True)
    assert 'holds no random states' in caplog.text


def test_states_come_back():
    set_random_state(random_state())
    random.gauss(0, 1)
    np.random.normal()  # noqa: NPY002
    state = random_state()

    def draw():
        return (
            *(random.gauss(0, 1), random.random(), np.random.normal()),  # noqa: NPY002
            *(np.random.randint(9), torch.rand(1).item()),  # noqa: NPY002
        )

    first = [draw() for _ in range(400)]
    set_random_state(state)
    assert [draw() for _ in range(400)] == first
