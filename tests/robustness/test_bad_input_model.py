"""Bad models, checkpoints and folders end in a line that names them, status 2."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from wsss_mm.datasets.synth_voc import write_synth_voc


@pytest.fixture(scope='module')
def synth(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synth') / 'data'
    return write_synth_voc(folder, train=2, val=1, size=64)


@pytest.fixture
def config(root, synth, tmp_path):
    """A thin network on the tiny dataset, as a file."""
    cfg = Config.fromfile(root / 'configs/cam/cam_r18_synth.py')
    options = {
        'model.backbone.stem_channels': 4,
        'model.backbone.base_channels': 4,
        'model.decode_head.in_channels': 32,
        'train_dataloader.batch_size': 2,
        'train_cfg.max_iters': 1,
        'load_from': None,
        'work_dir': str(tmp_path / 'work'),
    }
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options[f'{loader}.dataset.data_root'] = str(synth)
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
    cfg.merge_from_dict(options)
    path = tmp_path / 'thin.py'
    cfg.dump(path)
    return str(path)


@pytest.fixture
def refused(root, monkeypatch, capsys):
    """Run a tool that must refuse; give what it says."""

    def run(tool, *arguments):
        path = root / 'tools' / f'{tool}.py'
        spec = importlib.util.spec_from_file_location(f'tool_{tool}', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            module.main()
        assert exit_info.value.code == 2
        # argparse puts the program's name in front.
        said = re.split(r'^(?:\S+: )?error: ', capsys.readouterr().err, flags=re.M)
        (message,) = [part for part in said[1:] if 'Traceback' not in part]
        return message

    return run


@pytest.fixture
def foreign(tmp_path):
    path = tmp_path / 'foreign.pth'
    torch.save({'backbone.conv.weight': torch.zeros(1)}, path)
    return path


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ('tool', 'arguments'),
    [
        ('train', ()),
        ('test', ('x.pth',)),
        ('gen_pseudo', ('x.pth',)),
        ('run_pipeline', ()),
    ],
)
def test_a_missing_config(refused, tool, arguments):
    assert 'nowhere.py: no such config' in refused(tool, 'nowhere.py', *arguments)


@pytest.mark.parametrize('tool', ['test', 'gen_pseudo'])
def test_the_checkpoint_of_another_network(refused, config, foreign, tool):
    message = refused(tool, config, foreign)
    assert 'foreign.pth: does not fit this config' in message
    assert 'backbone.conv.weight: unexpected' in message


def test_a_checkpoint_of_another_class_count(refused, config, tmp_path, root):
    from wsss_mm.registry import MODELS

    cfg = Config.fromfile(config)
    cfg.model.decode_head.num_classes = 5
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'five.pth')
    message = refused('test', config, tmp_path / 'five.pth')
    assert 'decode_head.classifier.weight: (4, 32, 1, 1) instead of (8, 32' in message
    assert 'class count' in message


@pytest.mark.parametrize('tool', ['test', 'gen_pseudo'])
def test_code_in_a_checkpoint_is_not_run(refused, config, tmp_path, tool):
    torch.save({'state_dict': Bomb(tmp_path / 'executed')}, tmp_path / 'evil.pth')
    message = refused(tool, config, tmp_path / 'evil.pth')
    assert 'evil.pth: not a checkpoint that can be read safely' in message
    assert not (tmp_path / 'executed').exists()


def test_a_missing_checkpoint(refused, config, tmp_path):
    assert 'no.pth: no such checkpoint' in refused('test', config, tmp_path / 'no.pth')
    (tmp_path / 'empty').mkdir()
    message = refused('gen_pseudo', config, tmp_path / 'empty')
    assert 'empty: no checkpoint; train into this folder first' in message


def test_a_head_of_another_class_count(refused, config):
    message = refused(
        'train', config, '--cfg-options', 'model.decode_head.num_classes=4'
    )
    assert 'synth_' in message
    assert 'tags over 8 foreground classes, but the head has num_classes=4' in message


def test_missing_weights_to_start_from(refused, config):
    message = refused('train', config, '--cfg-options', 'load_from=absent.pth')
    assert 'absent.pth: no such file, but the training starts from' in message


def test_an_output_that_is_a_file(refused, config, tmp_path, root):
    from wsss_mm.registry import MODELS

    init_default_scope('mmseg')
    cfg = Config.fromfile(config)
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'fits.pth')
    (tmp_path / 'out').write_text('in the way')
    message = refused(
        'gen_pseudo', config, tmp_path / 'fits.pth', '--out', tmp_path / 'out'
    )
    assert f'cannot write {tmp_path / "out"}/' in message
    assert 'choose a folder you may write to' in message


def test_an_impossible_threshold(refused, config, tmp_path):
    from wsss_mm.registry import MODELS

    init_default_scope('mmseg')
    cfg = Config.fromfile(config)
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'fits.pth')
    message = refused('gen_pseudo', config, tmp_path / 'fits.pth', '--threshold', '-1')
    assert 'threshold must be a number >= 0, got -1.0' in message


def test_options_of_another_form(refused, config):
    message = refused('train', config, '--cfg-options', 'max_iters:3')
    assert "'max_iters:3': expected key=value" in message
