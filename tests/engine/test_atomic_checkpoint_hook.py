"""A training is never lost by a kill or a full disk while it saves."""

import errno
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

import wsss_mm.engine.hooks.atomic_checkpoint_hook as module
from wsss_mm.checkpoints.checkpoint_file import newest_whole, read_checkpoint
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.resume import start_from
from wsss_mm.workflow.weights import fingerprint, latest_weights, read_state_dict


@pytest.fixture
def cfg(cam_config):
    """Four steps, saved at each, the latest kept."""
    for part in ('dataloader', 'cfg', 'evaluator'):
        cam_config[f'val_{part}'] = None
    cam_config.default_hooks.checkpoint.interval = 1
    cam_config.train_cfg.max_iters = 4
    return cam_config


def names(folder):
    return sorted(p.name for p in Path(folder).iterdir() if p.is_file())


def train(cfg, *, resume=False):
    start_from(cfg, resume=resume)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@HOOKS.register_module('test_SpoilWeights', force=True)
class SpoilWeights(Hook):
    """Make one weight infinite after an iteration whose loss was finite."""

    def __init__(self, at):
        self.at = at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == self.at:
            next(runner.model.backbone.parameters()).data[0] = float('inf')


class Killed(BaseException):
    """What no handler in the way catches, as no handler catches SIGKILL."""


def test_only_the_newest_is_left_and_published(cfg):
    train(cfg)
    work = Path(cfg.work_dir)
    digest = fingerprint(work / 'iter_4.pth')[:8]
    # ConfigDict dumps lie there too, under the config's name.
    assert [n for n in names(work) if not n.endswith('.py')] == [
        f'iter_4-{digest}.pth',
        'iter_4.pth',
        'last_checkpoint',
    ]
    assert (work / 'last_checkpoint').read_text() == str(work / 'iter_4.pth')


def test_the_older_stays_until_the_newer_is_read_back(cfg, monkeypatch):
    seen = []
    inner = Runner.save_checkpoint

    def save(runner, out_dir, filename, **options):
        seen.append((names(out_dir), filename))
        inner(runner, out_dir, filename, **options)

    monkeypatch.setattr(Runner, 'save_checkpoint', save)
    train(cfg)
    for step, (there, filename) in enumerate(seen, 1):
        assert filename != f'iter_{step}.pth'
        assert f'iter_{step}.pth' not in there
        assert (f'iter_{step - 1}.pth' in there) == (step > 1)


@pytest.mark.parametrize('at', [1, 2, 4])
def test_cut_off_while_saving_it_goes_on(cfg, monkeypatch, at):
    """Half of the file is written when the process ends."""
    inner = module.LocalBackend.put

    def put(backend, data, path):
        if f'iter_{at}.' in str(path):
            inner(backend, data[: len(data) // 2], path)
            shutil.copy(path, Path(path).with_name(f'.iter_{at}.{"0" * 12}.pth'))
            raise Killed
        inner(backend, data, path)

    whole = train(cfg).model.state_dict()
    shutil.rmtree(cfg.work_dir)
    cfg.load_from = None
    with monkeypatch.context() as patch:
        patch.setattr(module.LocalBackend, 'put', put)
        with pytest.raises(Killed):
            train(cfg)
    work = Path(cfg.work_dir)
    assert f'.iter_{at}.{"0" * 12}.pth' in names(work)
    assert newest_whole(work) == (work / f'iter_{at - 1}.pth' if at > 1 else None)
    start_from(cfg, resume=True, or_start=True)
    Runner.from_cfg(cfg).train()
    assert not [name for name in names(work) if name.startswith('.')]
    weights = read_state_dict(work)
    assert weights.keys() == whole.keys()
    assert latest_weights(work).name.startswith('iter_4-')


def test_cut_off_before_publishing_it_publishes(cfg, monkeypatch):
    def fail(weights):
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(module, 'digest_of', fail)
        with pytest.raises(KeyError):
            train(cfg)
    work = Path(cfg.work_dir)
    before = fingerprint(work / 'iter_4.pth')
    assert latest_weights(work).name == 'iter_4.pth'
    train(cfg, resume=True)
    assert latest_weights(work).name == f'iter_4-{before[:8]}.pth'
    train(cfg, resume=True)
    assert len(list(work.glob('iter_4-*.pth'))) == 1


def test_a_full_disk_keeps_the_last_and_names_the_file(cfg, monkeypatch):
    inner = module.LocalBackend.put

    def put(backend, data, path):
        if 'iter_3.' in str(path):
            inner(backend, data[:100], path)
            raise OSError(errno.ENOSPC, 'No space left on device')
        inner(backend, data, path)

    monkeypatch.setattr(module.LocalBackend, 'put', put)
    with pytest.raises(InputError, match=r'cannot write .*iter_3\.pth: No space left'):
        train(cfg)
    work = Path(cfg.work_dir)
    assert newest_whole(work) == work / 'iter_2.pth'
    assert not [name for name in names(work) if name.startswith('.')]


def test_what_cannot_be_read_back_is_not_kept(cfg, monkeypatch):
    inner = module.LocalBackend.put

    def put(backend, data, path):
        inner(backend, data[:-30] if 'iter_2.' in str(path) else data, path)

    monkeypatch.setattr(module.LocalBackend, 'put', put)
    with pytest.raises(InputError, match=r'iter_2\.pth: what was written could not be'):
        train(cfg)
    assert newest_whole(cfg.work_dir).name == 'iter_1.pth'


def test_any_torch_resumes_without_unpickling(cfg):
    """No allow-list, which torch 2.1 has not: tensors and Python's own types."""
    runner = train(cfg)
    path = Path(cfg.work_dir, 'iter_4.pth')
    # Nothing is allowed here but what torch itself allows.
    content = torch.load(path, weights_only=True)
    assert content['optimizer']['state']
    assert len(content['message_hub']['log_scalars']['train/loss']['history']) == 4
    cfg.train_cfg.max_iters = 6
    resumed = train(cfg, resume=True)
    assert resumed.iter == 6
    history = resumed.message_hub.get_scalar('train/loss').data[0]
    assert len(history) == 6
    assert (
        history[:4] == runner.message_hub.get_scalar('train/loss').data[0][:4]
    ).all()


def test_a_copied_folder_leaves_the_other_alone(cfg, tmp_path):
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    train(cfg)
    first = Path(cfg.work_dir)
    shutil.copytree(first, tmp_path / 'copy')
    before = {p.name: p.read_bytes() for p in first.iterdir() if p.is_file()}
    cfg.work_dir = str(tmp_path / 'copy')
    cfg.train_cfg.max_iters = 6
    assert train(cfg, resume=True).iter == 6
    assert {p.name: p.read_bytes() for p in first.iterdir() if p.is_file()} == before
    assert {'iter_5.pth', 'iter_6.pth'} <= set(names(tmp_path / 'copy'))
    assert not {'iter_3.pth', 'iter_4.pth'} & set(names(tmp_path / 'copy'))


def test_weights_that_are_not_finite_are_not_saved(cfg):
    cfg.custom_hooks = [dict(type='mmseg.test_SpoilWeights', at=2)]
    with pytest.raises(InputError, match=r'not finite after iteration 3 .*backbone'):
        train(cfg)
    work = Path(cfg.work_dir)
    assert newest_whole(work) == work / 'iter_2.pth'
    assert not list(work.glob('*-*.pth'))


@pytest.mark.parametrize('metrics', ['mIoU', ['mIoU', 'tag_mAP']])
def test_the_best_is_kept_until_a_better_is_saved(cam_config, monkeypatch, metrics):
    cam_config.default_hooks.checkpoint.update(interval=1, save_best=metrics)
    cam_config.train_cfg.update(max_iters=3, val_interval=1)
    scores = iter([1.0, 3.0, 2.0])
    seen = []
    inner = module.CheckpointHook._save_best_checkpoint

    def save(hook, runner, found):
        score = next(scores)
        inner(hook, runner, dict.fromkeys(('mIoU', 'tag_mAP'), score))
        seen.append([n for n in names(runner.work_dir) if n.startswith('best')])

    monkeypatch.setattr(module.CheckpointHook, '_save_best_checkpoint', save)
    train(cam_config)
    kinds = [metrics] if isinstance(metrics, str) else metrics
    # The worse one goes after the better one is there.
    assert seen[1] == sorted(f'best_{k}_iter_{i}.pth' for k in kinds for i in (1, 2))
    work = Path(cam_config.work_dir)
    best = {p.name for p in work.glob('best_*')}
    assert {f'best_{kind}_iter_2.pth' for kind in kinds} <= best
    assert not [name for name in best if 'iter_1' in name or 'iter_3' in name]
    assert read_checkpoint(work / f'best_{kinds[0]}_iter_2.pth')['meta']['iter'] == 2
