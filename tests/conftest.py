import os
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_runtest_setup(item):
    """Skip what needs a GPU where there is none, and say why."""
    if item.get_closest_marker('gpu') is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip(f'needs a GPU: torch {torch.__version__} finds no CUDA device')


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


@pytest.fixture(scope='session')
def synth(tmp_path_factory):
    """A tiny SynthVOC."""
    from wsss_mm.datasets.synth_voc import write_synth_voc

    folder = tmp_path_factory.mktemp('synth') / 'data'
    return write_synth_voc(folder, train=3, val=2, size=64)


@pytest.fixture
def cam_config(root, synth, tmp_path):
    """The SynthVOC baseline, thin and on a tiny dataset, that trains two steps."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    import wsss_mm.models  # noqa: F401

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


@pytest.fixture(scope='session')
def mutated():
    """Damage a copy of a file's bytes in one to three places."""

    def damage(data, rng, forge):
        """Change, cut out or double bytes, cut off the end, or forge something."""
        data = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            action = rng.randrange(5)
            if action == 0:
                data[at] = rng.randrange(256)
            elif action == 1 and len(data) > 9:
                del data[at : at + rng.randint(1, 9)]
            elif action == 2:
                data[at:at] = data[at : at + rng.randint(1, 9)]
            elif action == 3:
                forge(data, at, rng)
            else:
                del data[max(at, 1) :]
        return bytes(data)

    return damage
