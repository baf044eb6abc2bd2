import logging

import pytest
from mmengine.runner import Runner

from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.provenance import config_settings
from wsss_mm.workflow.quiet_runner import ShownMessages, build_runner


@pytest.mark.parametrize(
    'text, level, shown',
    [
        ('Iter(train) [ 50/200]  lr: 1e-4  eta: 0:00:19', logging.INFO, True),
        ('Iter(val) [24/24]    mIoU: 11.1676', logging.INFO, True),
        ('\n+------+-----+\n| Class | IoU |', logging.INFO, True),
        ('Saving checkpoint at 4 iterations', logging.INFO, True),
        ('LR is set based on batch size of 16', logging.INFO, True),
        ('Hooks will be executed in the following order:', logging.INFO, False),
        ('Config:\nmodel = dict()', logging.INFO, False),
        ('\n---\nSystem environment:', logging.INFO, False),
        ('paramwise_options -- neck.f9.weight:lr=3e-05', logging.INFO, False),
        ('The loss is large', logging.WARNING, True),
        ('"FileClient" will be deprecated in future.', logging.WARNING, False),
        ('Traceback', logging.ERROR, True),
    ],
)
def test_what_is_for_the_terminal(text, level, shown):
    record = logging.LogRecord('mmengine', level, 'x.py', 1, text, (), None)
    assert ShownMessages().filter(record) is shown


def train(cfg, capfd):
    build_runner(cfg).train()
    return capfd.readouterr().out


def test_a_training_says_little_and_logs_everything(cam_config, tmp_path, capfd):
    lines = train(cam_config, capfd).splitlines()
    assert len(lines) < 40
    assert any('Iter(train) [2/2]' in line and 'eta:' in line for line in lines)
    assert any('tag_mAP' in line for line in lines)
    assert not any('environment' in line or 'Hooks' in line for line in lines)
    (log,) = (tmp_path / 'work').glob('*/*.log')
    written = log.read_text()
    for text in ('System environment', 'Hooks will be', 'Iter(train) [2/2]', 'Config:'):
        assert text in written


def test_debugging_shows_everything(cam_config, capfd, monkeypatch):
    monkeypatch.setattr(LOGGER, 'level', logging.DEBUG)
    LOGGER._cache.clear()
    try:
        assert 'System environment' in train(cam_config, capfd)
    finally:
        monkeypatch.undo()
        LOGGER._cache.clear()


def test_a_runner_that_the_config_names_is_taken(cam_config):
    cam_config.runner_type = 'mmengine.Runner'
    assert type(build_runner(cam_config)) is Runner


def test_the_best_checkpoint_by_tags_and_early_stopping(cam_config, tmp_path):
    cam_config.merge_from_dict(
        {
            'default_hooks.checkpoint.save_best': 'tag_mAP',
            'default_hooks.checkpoint.rule': 'greater',
            'train_cfg.max_iters': 6,
            'train_cfg.val_interval': 1,
            'val_evaluator': [dict(type='TagMAPMetric')],
        }
    )
    stop = dict(type='EarlyStoppingHook', monitor='tag_mAP', rule='greater')
    cam_config.custom_hooks = [dict(stop, patience=1, min_delta=1000.0)]
    runner = build_runner(cam_config)
    runner.train()
    assert runner.iter == 2
    assert len(list((tmp_path / 'work').glob('best_tag_mAP_iter_?.pth'))) == 1


def test_the_rate_follows_the_batch_of_the_recipe(root, cam_config):
    cfg = load_config('seam_r18_synth', {'train_dataloader.batch_size': 4})
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=16)
    cam_config.auto_scale_lr = dict(enable=True, base_batch_size=8)
    cam_config.param_scheduler = None
    rate = cam_config.optim_wrapper.optimizer.lr
    runner = build_runner(cam_config)
    runner.train()
    assert runner.optim_wrapper.param_groups[0]['lr'] == pytest.approx(rate / 4)


def test_scaling_changes_a_result_only_where_it_is_on():
    off = load_config('seam_r18_synth')
    on = load_config('seam_r18_synth', {'auto_scale_lr.enable': True})
    assert 'auto_scale_lr' not in config_settings(off)
    assert config_settings(on)['auto_scale_lr']['base_batch_size'] == 16
