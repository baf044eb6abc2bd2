import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

import wsss_mm.models  # noqa: F401
from wsss_mm.datasets.synth_voc import write_synth_voc


@pytest.fixture(scope='session')
def synth(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synth') / 'data'
    return write_synth_voc(folder, train=3, val=2, size=64)


@pytest.fixture
def cam_config(root, synth, tmp_path):
    """The SynthVOC baseline, thin and on a tiny dataset, that trains two steps."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(root / 'configs/cam/cam_r18_synth.py')
    options = {
        'model.backbone.stem_channels': 4,
        'model.backbone.base_channels': 4,
        'model.decode_head.in_channels': 32,
        'train_dataloader.batch_size': 2,
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'default_hooks.logger.interval': 1,
        'load_from': None,
        'work_dir': str(tmp_path / 'work'),
    }
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options[f'{loader}.dataset.data_root'] = str(synth)
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
    cfg.merge_from_dict(options)
    return cfg
