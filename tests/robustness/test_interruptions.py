"""What ends a command from outside: a line says so, and the command then goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from torch.utils.data import get_worker_info

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.cli.main import run_command
from wsss_mm.registry import HOOKS, TRANSFORMS

PATIENCE = 30


@TRANSFORMS.register_module('test_EndWorker', force=True)
class EndWorker:
    """Kill the process that loads an image, once: `flag` says that it was done."""

    def __init__(self, flag):
        self.flag, self.count = Path(flag), 0

    def __call__(self, results):
        self.count += 1
        if get_worker_info() is not None and self.count > 6 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return results


@HOOKS.register_module('test_Interrupt', force=True)
class Interrupt(Hook):
    """Do something after the third iteration, once."""

    def __init__(self, flag, what, argument=''):
        self.flag, self.what, self.argument = Path(flag), what, argument

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 2 and not self.flag.exists():
            getattr(self, self.what)()

    def lose(self):
        for path in Path(self.argument).iterdir():
            path.rename(path.with_name(f'{path.name}.gone'))
        self.flag.touch()

    def fill(self):
        import resource

        self.flag.touch()
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    def end_rank(self):
        if get_rank() == 1:
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def train(cam_config, tmp_path, root):
    """Write the config of a training that saves every second step; run it."""
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    cam_config.default_hooks.checkpoint.interval = 2
    cam_config.train_cfg.max_iters = 6
    cam_config.work_dir = str(tmp_path / 'work')

    def run(hook=None):
        if hook is not None:
            hook = dict(type='mmseg.test_Interrupt', flag=str(tmp_path / 'f'), **hook)
            cam_config.custom_hooks = [hook]
        cam_config.dump(tmp_path / 'config.py')
        argv = [str(tmp_path / 'config.py'), '--resume-or-start']
        return run_command('train', argv)

    def in_processes(count, hook):
        hook = dict(type='mmseg.test_Interrupt', flag=str(tmp_path / 'f'), **hook)
        cam_config.custom_hooks = [hook]
        cam_config.custom_imports.imports.append(Path(__file__).stem)
        cam_config.dump(tmp_path / 'config.py')
        launcher = ['-m', 'torch.distributed.run', '--standalone']
        several = [*launcher, f'--nproc_per_node={count}'] if count > 1 else []
        more = ['--launcher', 'pytorch'] if count > 1 else []
        tool = [str(root / 'tools/train.py'), str(tmp_path / 'config.py'), *more]
        search = os.pathsep.join([str(root), str(Path(__file__).parent)])
        return subprocess.run(
            [sys.executable, *several, *tool, '--resume-or-start'],
            env=dict(os.environ, PYTHONPATH=search, OMP_NUM_THREADS='1'),
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run, in_processes, cam_config


def last_step(cfg):
    (path,) = Path(cfg.work_dir).glob('iter_?.pth')
    return read_checkpoint(path)['meta']['iter']


def one_line(text):
    """Give the message, which must be the only one and no traceback."""
    assert 'Traceback' not in text, text
    (line,) = [line for line in text.splitlines() if line.startswith('error: ')]
    return line


def test_a_worker_is_killed(train, tmp_path, capsys):
    run, _, cfg = train
    cfg.train_dataloader.num_workers = 2
    step = dict(type='mmseg.test_EndWorker', flag=str(tmp_path / 'flag'))
    cfg.train_dataloader.dataset.pipeline.insert(1, step)
    start = time.monotonic()
    with pytest.raises(SystemExit) as end:
        run()
    assert time.monotonic() - start < PATIENCE * 3
    assert end.value.code == 1
    line = one_line(capsys.readouterr().err)
    assert re.search(r'a process that loads images \(\d+\) has ended', line)
    assert run() == 0
    assert last_step(cfg) == 6


def test_an_image_vanishes(train, synth, tmp_path, capsys):
    run, _, cfg = train
    data = shutil.copytree(synth, tmp_path / 'data')
    cfg.train_dataloader.dataset.data_root = str(data)
    hook = dict(what='lose', argument=str(data / 'JPEGImages'))
    with pytest.raises(SystemExit) as end:
        run(hook)
    assert end.value.code == 2
    assert str(data / 'JPEGImages') in one_line(capsys.readouterr().err)
    assert last_step(cfg) == 2
    for path in (data / 'JPEGImages').iterdir():
        path.rename(path.with_suffix(''))
    assert run() == 0
    assert last_step(cfg) == 6


def test_the_disk_is_full(train):
    """A limit on the size of files fails as a full disk does."""
    _, run, cfg = train
    done = run(1, dict(what='fill'))
    assert done.returncode == 2
    line = one_line(done.stderr)
    assert f'cannot write {cfg.work_dir}' in line
    assert last_step(cfg) == 2
    assert not list(Path(cfg.work_dir).glob('.*'))
    assert run(1, dict(what='fill')).returncode == 0
    assert last_step(cfg) == 6


def test_a_rank_is_killed(train, tmp_path):
    _, run, cfg = train
    done = run(2, dict(what='end_rank'))
    ended = time.time() - (tmp_path / 'f').stat().st_mtime
    assert done.returncode
    assert ended < PATIENCE
    assert last_step(cfg) == 2
    assert run(2, dict(what='end_rank')).returncode == 0
    assert last_step(cfg) == 6


def test_a_folder_that_cannot_be_written(train, capsys):
    run, _, cfg = train
    cfg.work_dir = '/proc/nowhere/work'
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 2
    assert '/proc/nowhere/work: cannot be written to' in capsys.readouterr().err


def test_weights_that_are_not_finite_name_the_file(train, tmp_path, capsys):
    run, _, cfg = train
    run()
    (path,) = Path(cfg.work_dir).glob('iter_6.pth')
    weights = read_checkpoint(path)['state_dict']
    next(iter(weights.values())).fill_(float('nan'))
    torch.save(weights, tmp_path / 'nan.pth')
    argv = [str(tmp_path / 'config.py'), str(tmp_path / 'nan.pth')]
    with pytest.raises(SystemExit):
        run_command('cams', [*argv, '--out', str(tmp_path / 'out')])
    assert 'nan.pth: its weights are not finite' in capsys.readouterr().err
