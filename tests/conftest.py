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
def golden(shared):
    """Read one golden file by its stem."""
    import numpy as np

    def read(stem):
        with np.load(shared / 'golden' / f'{stem}.npz', allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    return read
