import multiprocessing

import pytest
import torch
from mmengine.config import Config

from wsss_mm.engine import processes
from wsss_mm.engine.processes import (
    WAIT_SECONDS,
    meet,
    share,
    share_of_remaining,
    workers_here,
)

NAMES = ('a', 'b', 'c', 'd', 'e')


@pytest.fixture
def process(monkeypatch):
    """Pretend to be one of several processes; give what a barrier waits for."""
    waits = []

    def pretend(rank, world, *events):
        monkeypatch.setattr(processes, 'get_rank', lambda: rank)
        monkeypatch.setattr(processes, 'get_world_size', lambda: world)
        waits[:] = events
        return waits

    monkeypatch.setattr(processes, 'barrier', lambda: waits.pop(0)() if waits else None)
    return pretend


@pytest.mark.parametrize('world', [1, 2, 3, 7])
def test_every_image_is_somebodys(process, world):
    shares = []
    for rank in range(world):
        process(rank, world)
        shares.append(share([3, 1, 4, 5, 9]))
    assert sorted(one for part in shares for one in part) == [1, 3, 4, 5, 9]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_nobody_writes_while_another_looks(process, tmp_path):
    """A list read while others write would leave images that nobody makes."""
    folder = tmp_path / 'masks'
    folder.mkdir()

    def earlier_stage():
        (folder / 'b.png').touch()

    def begin_writing():
        for name in ('a', 'c', 'd'):
            (folder / f'{name}.png').touch()

    waits = process(1, 2, earlier_stage, begin_writing)
    # Of a, c, d and e the second process takes the second and the fourth.
    assert share_of_remaining(NAMES, (folder, '.png'), overwrite=False) == [2, 4]
    assert waits == []


@pytest.mark.parametrize(
    'workers, count, expected',
    [(8, None, 8), (8, '1', 8), (8, '4', 2), (7, '4', 1), (2, '4', 1), (0, '4', 0)],
)
@pytest.mark.parametrize(
    'launcher, variable',
    [('pytorch', 'LOCAL_WORLD_SIZE'), ('slurm', 'SLURM_NTASKS_PER_NODE')],
)
def test_workers_are_those_of_the_machine(
    monkeypatch, launcher, variable, workers, count, expected
):
    monkeypatch.delenv(variable, raising=False)
    if count is not None:
        monkeypatch.setenv(variable, count)
    assert workers_here(workers, launcher) == expected


def test_a_single_process_has_all_workers(monkeypatch):
    # Slurm says so inside of a job, too, in which one process was started by hand.
    monkeypatch.setenv('SLURM_NTASKS_PER_NODE', '4')
    assert workers_here(8, 'none') == 8


def test_negative_workers_are_left_for_the_pool_to_refuse(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert workers_here(-1, 'pytorch') == -1


class TestMeet:
    @pytest.fixture
    def cfg(self):
        return Config(
            dict(
                env_cfg=dict(
                    mp_cfg=dict(mp_start_method='fork'),
                    dist_cfg=dict(backend='nccl'),
                )
            )
        )

    @pytest.fixture
    def opened(self, monkeypatch):
        for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
            monkeypatch.setenv(name, '1')  # else MMEngine would, for all later tests
        calls = []

        def init_dist(launcher, **settings):
            calls.append((launcher, settings, multiprocessing.get_start_method()))

        monkeypatch.setattr(processes, 'init_dist', init_dist)
        return calls

    def test_one_process_meets_nobody(self, cfg, opened):
        meet(cfg, 'none')
        assert opened == []
        assert cfg.launcher == 'none'

    @pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
    def test_on_gpus_before_any_runner(self, cfg, opened, monkeypatch, launcher):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        meet(cfg, launcher)
        settings = dict(backend='nccl', timeout=WAIT_SECONDS)
        assert opened == [(launcher, settings, 'fork')]

    def test_a_timeout_of_the_config_counts(self, cfg, opened, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        cfg.env_cfg.dist_cfg.timeout = 60
        meet(cfg, 'pytorch')
        assert opened[0][1]['timeout'] == 60

    def test_processes_that_met_are_left_alone(self, cfg, opened, monkeypatch):
        monkeypatch.setattr(processes, 'is_distributed', lambda: True)
        monkeypatch.setattr(processes, 'prepare_launcher', lambda cfg, launcher: None)
        meet(cfg, 'pytorch')
        assert opened == []
