import os
from pathlib import Path

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
def golden(shared):
    """Read one golden file by its stem."""
    import numpy as np

    def read(stem):
        with np.load(shared / 'golden' / f'{stem}.npz', allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    return read
