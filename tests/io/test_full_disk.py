"""Every writer names its file when the disk is full, and leaves what was there."""

import json
import resource

import numpy as np
import pytest
import torch

from wsss_mm.checkpoints.checkpoint_file import whole_checkpoint
from wsss_mm.io.atomic import atomic_write, naming
from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.score_file import save_scores
from wsss_mm.utils.errors import InputError

NOISE = np.random.default_rng(0).random((3, 200, 200), np.float32)
PALETTE = [[i, i, i] for i in range(256)]


@pytest.fixture
def full_disk():
    """Let no file grow beyond some bytes, which fails as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_checkpoint(path):
    with whole_checkpoint(path) as part:
        torch.save(dict(state_dict=dict(a=torch.from_numpy(NOISE))), part)


def write_note(path):
    with atomic_write(path) as part:
        part.write_text(json.dumps(NOISE.tolist()))


WRITERS = {
    'cam.npz': lambda path: save_cam(path, np.arange(3), NOISE),
    'mask.png': lambda path: save_mask(path, (NOISE[0] * 255).astype('uint8'), PALETTE),
    'scores.npz': lambda path: save_scores(path, np.arange(2), NOISE, NOISE),
    'iter_2.pth': write_checkpoint,
    'note.json': write_note,
}


@pytest.mark.parametrize('name', WRITERS)
def test_a_full_disk(tmp_path, full_disk, name):
    path = tmp_path / name
    path.write_text('old')
    with pytest.raises(InputError, match=f'cannot write {path}: '):
        WRITERS[name](path)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_other_errors_pass(tmp_path):
    for error in (FileNotFoundError(2, 'No such file', 'a'), OSError('odd')):
        with pytest.raises(type(error)) as found, naming(tmp_path):
            raise error
        assert found.value is error
