"""Damaged files of every kind end in an error that names them."""

import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from wsss_mm.io.cam_file import load_cam, save_cam
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask, save_mask
from wsss_mm.io.saliency_file import load_saliency
from wsss_mm.io.score_file import load_scores, save_scores

MAPS = np.random.default_rng(0).random((3, 9, 8))
GREY = (MAPS[0] * 255).astype(np.uint8)


def save_jpeg(path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, 'turned'
    Image.fromarray(GREY).convert('RGB').save(path, exif=exif)


WRITERS = {
    'cam.npz': (lambda path: save_cam(path, [1, 3, 5], MAPS), load_cam),
    'stored.npz': (
        lambda path: np.savez(path, classes=np.arange(3), maps=np.float16(MAPS)),
        load_cam,
    ),
    'scores.npz': (lambda path: save_scores(path, [1, 3], MAPS, MAPS), load_scores),
    'mask.png': (lambda path: save_mask(path, GREY % 4, [[9, 9, 9]]), load_mask),
    'saliency.png': (lambda path: Image.fromarray(GREY).save(path), load_saliency),
    'image.png': (lambda path: Image.fromarray(GREY).save(path), read_rgb),
    'image.jpg': (save_jpeg, read_rgb),
}


def forge(data, at, rng):
    """Make a number extreme."""
    extreme = rng.choice((0, 1, -1, 1 << 30, -(1 << 31)))
    data[at : at + 4] = struct.pack(rng.choice(('<i', '>i')), extreme)


def with_checksums(data):
    """A PNG with the checksums that its chunks should have, or what is left of it."""
    out, at = bytearray(data[:8]), 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from('>I', data, at)
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + struct.pack('>I', zlib.crc32(body))
        at += 12 + size
    return bytes(out)


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
@pytest.mark.parametrize('name', WRITERS)
def test_damaged_files_give_clean_errors(name, tmp_path, mutated):
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path)
    whole, rng, refused = path.read_bytes(), random.Random(0), []
    for i in range(300):
        data = mutated(whole, rng, forge)
        path.write_bytes(with_checksums(data) if i % 2 and name[-3:] == 'png' else data)
        try:
            read(path)
        except ValueError as error:
            refused.append(str(error))
    assert 100 < len(refused) < 300
    assert all(str(path) in message for message in refused)


@pytest.mark.parametrize('change', ['encrypted', 'no array'])
def test_archives_that_cannot_be_read_as_arrays(change, tmp_path):
    path = tmp_path / 'cam.npz'
    np.savez(path, classes=np.arange(3), maps=np.float16(MAPS))
    data = bytearray(path.read_bytes())
    if change == 'encrypted':
        at = data.index(b'PK\x01\x02')
        data[at + 8] |= 1
        data[6] |= 1
    else:
        at = data.index(b'\x93NUMPY')
        body = bytearray(data[at : at + 128 + 24])
        body[0] ^= 1
        data[at] ^= 1
        checksum = struct.pack('<I', zlib.crc32(body))
        data[14:18] = checksum
        at = data.index(b'PK\x01\x02')
        data[at + 16 : at + 20] = checksum
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'cam\.npz is .*no CAM file'):
        load_cam(path)
