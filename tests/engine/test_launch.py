import argparse
import builtins
import pickle
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from wsss_mm.engine import launch
from wsss_mm.engine.command_line import OptionsAction, parse_options, readable_errors
from wsss_mm.engine.launch import (
    drop_metrics_of_masks,
    has_masks,
    load_config,
    prepare_launcher,
    start_from,
    start_from_nothing,
)
from wsss_mm.engine.weights import latest_weights, load_weights, read_state_dict
from wsss_mm.registry import MODELS


class TestErrors:
    @pytest.mark.parametrize('kind', [ValueError, FileNotFoundError])
    def test_bad_input_ends_with_a_line_and_status_2(self, capsys, kind):
        with pytest.raises(SystemExit) as exit_info, readable_errors():
            raise kind('a.csv: no such class')
        assert exit_info.value.code == 2
        captured = capsys.readouterr()
        assert captured.err == 'error: a.csv: no such class\n'
        assert captured.out == ''

    def test_the_traceback_of_a_worker_is_cut(self, capsys):
        text = (
            'Caught ValueError in DataLoader worker process 0.\n'
            'Original Traceback (most recent call last):\n  File "x.py", line 1\n'
            'ValueError: a.jpg: truncated\n'
        )
        with pytest.raises(SystemExit), readable_errors():
            raise ValueError(text)
        assert capsys.readouterr().err == 'error: a.jpg: truncated\n'

    def test_our_own_mistakes_stay_visible(self):
        with pytest.raises(TypeError), readable_errors():
            raise TypeError('a bug')


class TestConfig:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / 'tiny.py'
        path.write_text('model = dict(depth=1)\nvalues = [dict(a=1)]\n')
        return str(path)

    def test_options_override(self, file):
        cfg = load_config(file, {'model.depth': 2, 'values.0.a': 3})
        assert (cfg.model.depth, cfg['values'][0].a) == (2, 3)

    def test_the_work_folder(self, file, tmp_path):
        assert load_config(file).work_dir == str(Path('work_dirs') / 'tiny')
        assert load_config(file, {'work_dir': 'mine'}).work_dir == 'mine'
        assert load_config(file, {'work_dir': 'a'}, work_dir='b').work_dir == 'b'

    def test_a_missing_config_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r'nothing\.py: no such config .*configs/'):
            load_config(str(tmp_path / 'nothing.py'))

    def test_what_python_cannot_read(self, tmp_path):
        (tmp_path / 'broken.py').write_text('model = dict(\n')
        with pytest.raises(ValueError, match=r'broken\.py: no config that Python'):
            load_config(str(tmp_path / 'broken.py'))

    @pytest.mark.parametrize('key', ['values.a', 'values.7.a', 'model.depth.a'])
    def test_options_that_do_not_fit(self, file, key):
        with pytest.raises(ValueError, match=r'tiny\.py: an option does not fit'):
            load_config(file, {key: 1})

    def test_options_are_read_as_the_tools_read_them(self):
        pairs = ['a.b=1', 'c=None', 'd=text', 'e=[1,2]', 'f=True', 'g=x=y']
        expected = {'a.b': 1, 'c': None, 'd': 'text', 'e': [1, 2], 'f': True}
        assert parse_options(pairs) == {**expected, 'g': 'x=y'}
        assert parse_options([]) == {}
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
        found = parser.parse_args(['--cfg-options', *pairs]).cfg_options
        assert found == {**expected, 'g': 'x=y'}

    def test_other_arguments_are_refused(self, capsys):
        with pytest.raises(ValueError, match="'depth:2' is no key=value"):
            parse_options(['a=1', 'depth:2'])
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
        with pytest.raises(SystemExit) as exit_info:
            parser.parse_args(['--cfg-options', 'depth:2'])
        assert exit_info.value.code == 2
        assert "'depth:2' is no key=value" in capsys.readouterr().err


class TestWithoutMasks:
    def test_masks_are_found_where_they_are_configured(self, cam_config):
        assert has_masks(cam_config, 'val')
        cam_config.val_dataloader.dataset.data_prefix.seg_map_path = None
        assert not has_masks(cam_config, 'val')
        assert has_masks(cam_config, 'test')
        cam_config.test_dataloader = None
        assert not has_masks(cam_config, 'test')

    def test_configs_with_masks_stay(self, cam_config):
        before = cam_config.to_dict()
        drop_metrics_of_masks(cam_config)
        assert cam_config.to_dict() == before

    def test_no_validation_without_masks(self, cam_config, capsys):
        cam_config.val_evaluator = dict(type='VOCIoUMetric')
        cam_config.val_dataloader.dataset.data_prefix.seg_map_path = None
        drop_metrics_of_masks(cam_config)
        assert 'no true masks are configured for val' in capsys.readouterr().out
        assert cam_config.val_dataloader is None
        assert cam_config.val_cfg is None
        assert cam_config.val_evaluator is None
        assert cam_config.test_evaluator[0].type == 'VOCIoUMetric'

    def test_other_metrics_stay(self, cam_config):
        cam_config.val_dataloader.dataset.data_prefix.seg_map_path = None
        tags = dict(type='TagMAPMetric')
        cam_config.val_evaluator = [dict(type='VOCIoUMetric'), tags]
        drop_metrics_of_masks(cam_config)
        assert cam_config.val_evaluator == [tags]
        assert cam_config.val_dataloader is not None

    def test_training_and_testing_work(self, cam_config):
        for split in ('val', 'test'):
            prefix = cam_config[f'{split}_dataloader'].dataset.data_prefix
            prefix.seg_map_path = None
        drop_metrics_of_masks(cam_config)
        runner = Runner.from_cfg(cam_config)
        runner.train()
        assert runner.iter == 2
        assert list(runner.test()) == ['tag_mAP']


class TestStart:
    """A config that starts from other weights: ``load_from``."""

    @pytest.fixture
    def started(self, cam_config, tmp_path):
        cam_config.load_from = str(tmp_path / 'other.pth')
        cam_config.resume = False
        return cam_config

    def test_a_new_training_starts_from_them(self, started, tmp_path):
        (tmp_path / 'other.pth').touch()
        start_from(started, resume=False)
        assert started.load_from == str(tmp_path / 'other.pth')
        assert not started.resume

    def test_a_resumed_training_does_not(self, started, tmp_path):
        work = Path(started.work_dir)
        work.mkdir()
        (work / 'iter_1.pth').touch()
        (work / 'last_checkpoint').write_text(str(work / 'iter_1.pth'))
        start_from(started, resume=True)
        assert started.load_from is None
        assert started.resume is True

    @pytest.mark.parametrize('gone', [False, True])
    def test_cut_off_before_its_first_checkpoint_it_starts_anew(
        self, started, tmp_path, gone
    ):
        (tmp_path / 'other.pth').touch()
        if gone:
            Path(started.work_dir).mkdir()
            (Path(started.work_dir) / 'last_checkpoint').write_text('gone.pth')
        start_from(started, resume=True)
        assert started.load_from == str(tmp_path / 'other.pth')
        assert started.resume is False

    def test_missing_weights_are_named(self, started):
        with pytest.raises(ValueError, match=r'other\.pth: no such .*\(load_from\)'):
            start_from(started, resume=False)
        started.load_from = None
        started.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='w.pth')
        with pytest.raises(ValueError, match=r'w\.pth: no such .*init_cfg\.checkpoint'):
            start_from(started, resume=False)
        started.model.backbone.init_cfg.checkpoint = 'torchvision://resnet50'
        start_from(started, resume=False)

    def test_a_test_never_loads_them(self, started):
        """MMEngine loads load_from right before testing, over the weights tested."""
        torch.save(MODELS.build(started.model).state_dict(), started.load_from)
        start_from_nothing(started)
        runner = Runner.from_cfg(started)
        before = {k: v.clone() for k, v in runner.model.state_dict().items()}
        runner.test()
        after = runner.model.state_dict()
        assert all(torch.equal(after[k], v) for k, v in before.items())


class Bomb:
    """Unpickling it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Reach:
    """Unpickling it asks for attributes until it holds the builtins."""

    def __reduce__(self):
        inner = Bomb(getattr, getattr, '__self__')
        items = iter([('left_by_a_checkpoint', 1)])
        return getattr, (inner, '__dict__'), None, None, items


class TestCheckpoints:
    def test_weights_in_either_form(self, tmp_path):
        weights = dict(a=torch.ones(2), b=torch.zeros(1))
        torch.save(weights, tmp_path / 'plain.pth')
        torch.save(dict(state_dict=weights, meta=dict(x=1)), tmp_path / 'nested.pth')
        for name in ('plain', 'nested'):
            found = read_state_dict(tmp_path / f'{name}.pth')
            assert list(found) == ['a', 'b']
            assert torch.equal(found['a'], weights['a'])

    def test_what_mmengine_writes(self, cam_config):
        """Its checkpoints hold the log too, whose types torch does not trust."""
        cam_config.val_dataloader = cam_config.val_cfg = None
        cam_config.val_evaluator = None
        runner = Runner.from_cfg(cam_config)
        runner.train()
        weights = runner.model.state_dict()
        work = Path(cam_config.work_dir)
        # Older torch cannot be told to trust the log: the published file has none.
        trusting = hasattr(torch.serialization, 'safe_globals')
        for path in (work, work / 'iter_2.pth')[: 1 + trusting]:
            other = MODELS.build(cam_config.model)
            load_weights(other, path)
            found = other.state_dict()
            assert all(torch.equal(v, weights[k]) for k, v in found.items())
        assert latest_weights(work).name.startswith('iter_2')

    @pytest.mark.parametrize('nested', [False, True])
    def test_code_in_a_checkpoint_is_not_run(self, tmp_path, nested):
        trap = Bomb(Path.touch, tmp_path / 'executed')
        content = dict(state_dict=dict(a=torch.ones(1)), meta=trap) if nested else trap
        torch.save(content, tmp_path / 'evil.pth')
        with (tmp_path / 'evil.pkl').open('wb') as file:
            pickle.dump(trap, file)
        for name in ('evil.pth', 'evil.pkl'):
            with pytest.raises(ValueError, match=rf'{name}: not a checkpoint that can'):
                read_state_dict(tmp_path / name)
        assert not (tmp_path / 'executed').exists()

    def test_a_checkpoint_reaches_nothing_of_the_process(self, tmp_path):
        content = dict(state_dict=dict(a=torch.ones(1)), meta=Reach())
        torch.save(content, tmp_path / 'evil.pth')
        try:
            with pytest.raises(ValueError, match=r'evil\.pth: not a checkpoint'):
                read_state_dict(tmp_path / 'evil.pth')
            assert not hasattr(builtins, 'left_by_a_checkpoint')
        finally:
            vars(builtins).pop('left_by_a_checkpoint', None)

    @pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04' * 9])
    def test_damaged_files(self, tmp_path, content):
        (tmp_path / 'bad.pth').write_bytes(content)
        with pytest.raises(ValueError, match=r'bad\.pth: not a checkpoint that can be'):
            read_state_dict(tmp_path / 'bad.pth')

    def test_truncated_files(self, tmp_path):
        torch.save(dict(a=torch.ones(1000)), tmp_path / 'whole.pth')
        whole = (tmp_path / 'whole.pth').read_bytes()
        (tmp_path / 'half.pth').write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=r'half\.pth: not a checkpoint'):
            read_state_dict(tmp_path / 'half.pth')

    @pytest.mark.parametrize('content', [{}, {'state_dict': {}}, {'a': 1}, [1], 3])
    def test_files_without_weights(self, tmp_path, content):
        torch.save(content, tmp_path / 'odd.pth')
        with pytest.raises(ValueError, match=r'odd\.pth: holds no state dict'):
            read_state_dict(tmp_path / 'odd.pth')

    def test_missing_files(self, tmp_path):
        with pytest.raises(ValueError, match=r'no\.pth: no such checkpoint'):
            read_state_dict(tmp_path / 'no.pth')
        with pytest.raises(ValueError, match=r'no checkpoint; train into this folder'):
            read_state_dict(tmp_path)

    def test_a_published_checkpoint_is_preferred(self, tmp_path):
        for name in ('iter_8.pth', 'iter_8-0123abcd.pth', 'iter_4.pth'):
            (tmp_path / name).touch()
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_8.pth'))
        assert latest_weights(tmp_path).name == 'iter_8-0123abcd.pth'
        (tmp_path / 'iter_8-0123abcd.pth').unlink()
        assert latest_weights(tmp_path).name == 'iter_8.pth'


class TestFit:
    def save(self, tmp_path, **layers):
        path = tmp_path / 'other.pth'
        torch.save(nn.ModuleDict(layers).state_dict(), path)
        return path

    @pytest.fixture
    def model(self):
        return nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4)))

    @pytest.mark.parametrize(
        ('layers', 'text'),
        [
            (dict(a=nn.Linear(2, 3)), r'2 of 4 .*\n  b\.bias: missing\n  b\.weight'),
            (
                dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4), c=nn.Linear(1, 1)),
                r'c\.bias: unexpected',
            ),
            (
                dict(a=nn.Linear(2, 3), b=nn.Linear(3, 9)),
                r'b\.weight: \(9, 3\) instead of \(4, 3\)',
            ),
        ],
    )
    def test_another_network_is_refused(self, tmp_path, model, layers, text):
        before = {k: v.clone() for k, v in model.state_dict().items()}
        path = self.save(tmp_path, **layers)
        with pytest.raises(ValueError, match=rf'(?s)other\.pth: does not fit.*{text}'):
            load_weights(model, path)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    def test_inside_of_wrappers(self, tmp_path, model):
        model.test_step = None  # CAMTTAModel asks for one
        weights = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4)))
        path = self.save(tmp_path, **weights)
        tta = MODELS.build(dict(type='mmseg.CAMTTAModel', module=model))
        load_weights(tta, path)
        assert torch.equal(model['a'].weight, weights['a'].weight)


class TestLauncher:
    def test_one_process_needs_nothing(self):
        cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl'))))
        prepare_launcher(cfg, 'none')
        assert cfg.launcher == 'none'
        assert cfg.env_cfg.dist_cfg.backend == 'nccl'
        assert not torch.distributed.is_initialized()

    @pytest.mark.parametrize('given, seconds', [({}, 1800), (dict(timeout=90), 90)])
    def test_several_cpu_processes_use_gloo(self, monkeypatch, given, seconds):
        opened = []

        def open_group(backend, timeout):
            opened.append((backend, timeout))

        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        monkeypatch.setattr(torch.distributed, 'init_process_group', open_group)
        cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl', **given))))
        launch.prepare_launcher(cfg, 'pytorch')
        assert opened == [('gloo', timedelta(seconds=seconds))]
        assert cfg.env_cfg.dist_cfg.backend == 'gloo'
        assert cfg.model_wrapper_cfg.device_ids is None
