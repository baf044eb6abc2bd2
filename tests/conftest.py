import os
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def root():
    """The checkout."""
    return ROOT


@pytest.fixture(scope='session')
def shared():
    """Golden vectors and real images kept beside the checkout."""
    folder = Path(os.environ.get('WSSS_SHARED', ROOT.parent / 'shared'))
    if not folder.is_dir():
        pytest.skip(f'no shared test data at {folder} (set WSSS_SHARED)')
    return folder


@pytest.fixture(scope='session')
def protobuf():
    """Write the varints and the fields with a length of Protocol Buffers."""

    def varint(value):
        out = b''
        while value > 0x7F:
            out += bytes([value & 0x7F | 0x80])
            value >>= 7
        return out + bytes([value])

    def message(field, content):
        return varint(field << 3 | 2) + varint(len(content)) + content

    return SimpleNamespace(varint=varint, message=message)


@pytest.fixture(scope='session')
def write_affinity(root):
    """Write config and weights of a thin affinity network for SynthVOC in a folder."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    import wsss_mm.models  # noqa: F401
    from wsss_mm.registry import MODELS

    def write(folder, data):
        init_default_scope('mmseg')
        cfg = Config.fromfile(root / 'configs/cam/cam_r18_synth_affinity.py')
        cfg.model.backbone.update(stem_channels=4, base_channels=4)
        widths = dict(in_channels=(4, 8, 16, 32), mid_channels=(4, 4, 4, 4))
        cfg.model.decode_head.update(widths)
        for split in ('train', 'test'):
            cfg[f'{split}_dataloader'].dataset.data_root = str(data)
        cfg.dump(folder / 'affinity.py')
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        torch.save(model.state_dict(), folder / 'affinity.pth')
        return folder / 'affinity.py', folder / 'affinity.pth'

    return write


@pytest.fixture(scope='session')
def golden(shared):
    """Read one golden file by its stem."""
    import numpy as np

    def read(stem):
        with np.load(shared / 'golden' / f'{stem}.npz', allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    return read
