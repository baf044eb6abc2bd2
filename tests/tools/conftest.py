import importlib.util
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import wsss_mm.models  # noqa: F401
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.registry import MODELS


@pytest.fixture(scope='module')
def folder(root, tmp_path_factory):
    """A tiny dataset, a thin network's config and two checkpoints of it."""
    folder = tmp_path_factory.mktemp('gen_pseudo')
    data = write_synth_voc(folder / 'data', train=3, val=1, size=64)
    init_default_scope('mmseg')
    cfg = Config.fromfile(root / 'configs/cam/cam_r18_synth.py')
    options = {
        'model.backbone.stem_channels': 4,
        'model.backbone.base_channels': 4,
        'model.decode_head.in_channels': 32,
        'load_from': str(folder / 'other.pth'),
        'work_dir': str(folder / 'work'),
    }
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options[f'{loader}.dataset.data_root'] = str(data)
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
    cfg.merge_from_dict(options)
    cfg.dump(folder / 'thin.py')
    for seed, name in enumerate(('net', 'other')):
        torch.manual_seed(seed)
        model = MODELS.build(cfg.model)
        model.init_weights()
        torch.save(model.state_dict(), folder / f'{name}.pth')
    return folder


@pytest.fixture
def generate(root, folder, tmp_path, monkeypatch, capsys):
    """Run the tool; give what it printed."""
    path = root / 'tools/gen_pseudo.py'
    spec = importlib.util.spec_from_file_location('gen_pseudo', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments, checkpoint='net.pth'):
        argv = [path, folder / 'thin.py', folder / checkpoint, '--out', tmp_path]
        monkeypatch.setattr(sys, 'argv', [str(a) for a in (*argv, *arguments)])
        module.main()
        return capsys.readouterr().out

    return run
