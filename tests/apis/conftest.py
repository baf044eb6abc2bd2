from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from wsss_mm.datasets import SynthVOCDataset
from wsss_mm.registry import MODELS


def write_network(cfg, folder, name):
    """Write the config and random weights of a network; give their paths."""
    import wsss_mm.models  # noqa: F401

    cfg.dump(folder / f'{name}.py')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    meta = dict(dataset_meta=SynthVOCDataset.METAINFO)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / f'{name}.pth')
    return SimpleNamespace(
        config=folder / f'{name}.py', checkpoint=folder / f'{name}.pth', cfg=cfg
    )


@pytest.fixture
def cam_network(cam_config, tmp_path):
    """A thin CAM network for SynthVOC with random weights."""
    return write_network(cam_config, tmp_path, 'cam')


@pytest.fixture
def segmenter(root, synth, tmp_path, cam_config):
    """A thin segmenter for SynthVOC with random weights."""
    cfg = Config.fromfile(root / 'configs/cam/cam_r18_synth_deeplabv2.py')
    options = {
        'model.backbone.stem_channels': 4,
        'model.backbone.base_channels': 4,
        'model.backbone.init_cfg': None,
        'model.decode_head.in_channels': 32,
        'work_dir': str(tmp_path / 'segmenter'),
    }
    for split in ('train', 'val', 'test'):
        options[f'{split}_dataloader.dataset.data_root'] = str(synth)
    cfg.merge_from_dict(options)
    return write_network(cfg, tmp_path, 'segmenter')
