import multiprocessing
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from wsss_mm.utils.errors import InputError
from wsss_mm.workflow import launch
from wsss_mm.workflow.launch import (
    drop_metrics_of_masks,
    has_masks,
    load_config,
    prepare_launcher,
    renamed,
    with_tta,
)


class TestConfig:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / 'tiny.py'
        path.write_text('model = dict(depth=1)\nvalues = [dict(a=1)]\n')
        return str(path)

    def test_options_override(self, file):
        cfg = load_config(file, {'model.depth': 2, 'values.0.a': 3})
        assert (cfg.model.depth, cfg['values'][0].a) == (2, 3)

    @pytest.mark.parametrize(('workers', 'kept'), [(0, False), (2, True)])
    def test_workers_are_kept_where_there_are_some(self, root, workers, kept):
        path = str(root / 'configs/cam/cam_r18_synth.py')
        options = {'train_dataloader.num_workers': workers}
        cfg = load_config(path, options)
        assert cfg.train_dataloader.persistent_workers is kept

    def test_the_work_folder(self, file, tmp_path):
        assert load_config(file).work_dir == str(Path('work_dirs') / 'tiny')
        assert load_config(file, {'work_dir': 'mine'}).work_dir == 'mine'
        assert load_config(file, {'work_dir': 'a'}, work_dir='b').work_dir == 'b'

    def test_a_missing_config_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r'nothing\.py: no such config .*configs'):
            load_config(str(tmp_path / 'nothing.py'))

    def test_what_python_cannot_read(self, tmp_path):
        (tmp_path / 'broken.py').write_text('model = dict(\n')
        with pytest.raises(ValueError, match=r'broken\.py: no config that Python'):
            load_config(str(tmp_path / 'broken.py'))

    @pytest.mark.parametrize('key', ['values.a', 'values.7.a', 'model.depth.a'])
    def test_options_that_do_not_fit(self, file, key):
        with pytest.raises(ValueError, match=r'tiny\.py: an option does not fit'):
            load_config(file, {key: 1})


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


class TestLauncher:
    @pytest.fixture
    def cfg(self):
        mp_cfg = dict(mp_start_method='fork')
        env_cfg = dict(mp_cfg=mp_cfg, dist_cfg=dict(backend='nccl'))
        return Config(dict(env_cfg=env_cfg))

    @pytest.fixture
    def joined(self, monkeypatch):
        """How the processes were joined: launcher or backend, and the settings."""
        calls = []
        for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
            monkeypatch.setenv(name, '1')  # else MMEngine would, for all later tests

        def record(kind, **settings):
            calls.append((kind, settings, multiprocessing.get_start_method()))

        monkeypatch.setattr(launch, 'init_dist', record)
        monkeypatch.setattr(torch.distributed, 'init_process_group', record)
        return calls

    def test_one_process_needs_nothing(self, cfg, joined):
        prepare_launcher(cfg, 'none')
        assert cfg.launcher == 'none'
        assert cfg.env_cfg.dist_cfg == dict(backend='nccl')
        assert joined == []

    @pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
    def test_on_gpus_before_any_runner(self, cfg, joined, monkeypatch, launcher):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        prepare_launcher(cfg, launcher, wait_seconds=7)
        assert joined == [(launcher, dict(backend='nccl', timeout=7), 'fork')]
        assert cfg.launcher == launcher
        assert 'model_wrapper_cfg' not in cfg

    @pytest.mark.parametrize('gpu', [False, True])
    def test_the_timeout_of_the_config_counts(self, cfg, joined, monkeypatch, gpu):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
        cfg.env_cfg.dist_cfg.timeout = 60
        prepare_launcher(cfg, 'pytorch', wait_seconds=7)
        assert joined[0][1]['timeout'] == (60 if gpu else timedelta(seconds=60))

    def test_several_cpu_processes_use_gloo(self, cfg, joined, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        prepare_launcher(cfg, 'pytorch')
        ((backend, settings, _),) = joined
        assert (backend, settings) == ('gloo', dict(timeout=timedelta(minutes=30)))
        assert cfg.env_cfg.dist_cfg.backend == 'gloo'
        assert cfg.model_wrapper_cfg.device_ids is None


def test_a_config_for_several_scales_is_a_copy_of_another_name(cam_config):
    before = cam_config.to_dict()
    found = with_tta(cam_config)
    assert cam_config.to_dict() == before
    assert Path(found.filename).name == 'cam_r18_synth_tta.py'
    assert found.model == dict(cam_config.tta_model, module=cam_config.model)
    assert found.test_dataloader.dataset.pipeline == cam_config.tta_pipeline
    assert found.work_dir == cam_config.work_dir
    assert Path(renamed(found, 'cams').filename).name == 'cam_r18_synth_tta_cams.py'
    assert renamed(Config(dict(a=1)), 'cams').filename is None


@pytest.mark.parametrize('key', ['tta_pipeline', 'tta_model'])
def test_several_scales_need_views(cam_config, key):
    fields = cam_config.to_dict()
    del fields[key]
    with pytest.raises(InputError, match='predict a single scale'):
        with_tta(Config(fields))
