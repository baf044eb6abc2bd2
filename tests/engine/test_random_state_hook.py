"""A training that was cut off and resumed equals one that was not, bit for bit."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from wsss_mm.engine.random_state import random_state, set_random_state
from wsss_mm.workflow.resume import start_from
from wsss_mm.workflow.weights import read_state_dict


@pytest.fixture
def cfg(cam_config):
    """Saved after every step; dropout draws in the process, the data in workers."""
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    cam_config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    cam_config.train_cfg.max_iters = 7
    return cam_config


def with_workers(cfg, workers):
    cfg.train_dataloader.num_workers = workers
    cfg.train_dataloader.persistent_workers = workers > 0
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


def cut_back(cfg, step):
    """Leave what a training that is killed after an iteration leaves."""
    work = Path(cfg.work_dir)
    for path in work.glob('*.pth'):
        if path.stem not in {f'iter_{i}' for i in range(1, step + 1)}:
            path.unlink()


@pytest.mark.parametrize('workers', [0, 2, 3])
def test_every_break_gives_the_same_weights(cfg, workers):
    with_workers(cfg, workers)
    train(cfg)
    whole = read_state_dict(cfg.work_dir)
    shutil.copytree(cfg.work_dir, Path(cfg.work_dir).with_name('whole'))
    for step in (1, 2, 5):
        cut_back(cfg, step)
        runner = train(cfg, resume=True)
        assert runner.iter == 7
        weights = read_state_dict(cfg.work_dir)
        different = [k for k, v in whole.items() if not torch.equal(v, weights[k])]
        assert not different, (step, len(different))


def test_two_breaks(cfg):
    with_workers(cfg, 2)
    train(cfg)
    whole = read_state_dict(cfg.work_dir)
    cut_back(cfg, 1)
    cfg.train_cfg.max_iters = 4
    train(cfg, resume=True)
    cfg.train_cfg.max_iters = 7
    cut_back(cfg, 3)
    train(cfg, resume=True)
    weights = read_state_dict(cfg.work_dir)
    assert all(torch.equal(v, weights[k]) for k, v in whole.items())


def test_the_test_sees_what_is_not_restored(cfg, monkeypatch):
    """Without the states the weights differ: augmentation and dropout matter."""
    with_workers(cfg, 0)
    train(cfg)
    whole = read_state_dict(cfg.work_dir)
    cut_back(cfg, 3)
    cfg.default_hooks.random_state = None
    train(cfg, resume=True)
    weights = read_state_dict(cfg.work_dir)
    assert not all(torch.equal(v, weights[k]) for k, v in whole.items())


def test_validation_changes_nothing(cam_config, tmp_path):
    cam_config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    cam_config.train_cfg.update(max_iters=4, val_interval=2)
    train(cam_config)
    whole = read_state_dict(cam_config.work_dir)
    cut_back(cam_config, 2)
    train(cam_config, resume=True)
    weights = read_state_dict(cam_config.work_dir)
    assert all(torch.equal(v, weights[k]) for k, v in whole.items())


@pytest.mark.parametrize('workers', [0, 2])
def test_a_training_without_a_break_is_as_it_was(cfg, workers):
    """The hook watches; the figures that stand were made without it."""
    with_workers(cfg, workers)
    found = []
    for hook in (cfg.default_hooks.random_state, None):
        cfg.default_hooks.random_state = hook
        train(cfg)
        found.append(read_state_dict(cfg.work_dir))
    assert all(torch.equal(v, found[1][k]) for k, v in found[0].items())


def test_other_workers_are_said_to_differ(cfg, caplog):
    train(with_workers(cfg, 0))
    cut_back(cfg, 3)
    train(with_workers(cfg, 2), resume=True)
    assert 'it was saved with 0 workers' in caplog.text


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
