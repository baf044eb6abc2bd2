"""Small files that stand for gigabytes are refused before anything is unpacked."""

import io
import json
import os
import resource
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss_mm.datasets.coco import draw_instances, read_instances
from wsss_mm.datasets.detection_xml import read_object_names
from wsss_mm.datasets.image_files import read_id_list
from wsss_mm.datasets.tags import read_tag_file
from wsss_mm.io import limits
from wsss_mm.io.cam_file import load_cam, save_cam
from wsss_mm.io.image_file import check_image, read_rgb
from wsss_mm.io.json_text import read_object
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.saliency_file import load_saliency
from wsss_mm.io.score_file import load_scores
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.metafile import read_checks

CLASSES = ('cat', 'dog')


def png_of(width, height, path, *, colour=0):
    """A PNG of any size, of zeros, in as few bytes as there can be."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    packer = zlib.compressobj(1)
    channels = {0: 1, 2: 3}[colour]
    row = b'\0' * (1 + width * channels)
    data = b''.join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack('>IIBBBBB', width, height, 8, colour, 0, 0, 0)
    parts = chunk(b'IHDR', header) + chunk(b'IDAT', data) + chunk(b'IEND', b'')
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + parts)


def jpeg_of(width, height, path):
    """A JPEG whose header states a size."""
    file = io.BytesIO()
    Image.new('RGB', (16, 16)).save(file, format='JPEG')
    data = bytearray(file.getvalue())
    at = data.index(b'\xff\xc0') + 5
    data[at : at + 4] = struct.pack('>HH', height, width)
    path.write_bytes(data)


def stated_shape(path, shape, *, names=('maps',), size=None):
    """A CAM file whose maps are stated to have a shape, of zeros or of few bytes."""
    member = np.lib.format.magic(1, 0)
    text = repr(dict(descr='<f2', fortran_order=False, shape=shape)).encode() + b'\n'
    member += struct.pack('<H', len(text)) + text
    classes = io.BytesIO()
    np.save(classes, np.arange(shape[0]))
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr('classes.npy', classes.getvalue())
        for name in names:
            with archive.open(f'{name}.npy', 'w') as file:
                file.write(member)
                left = 2 * int(np.prod(shape)) if size is None else size
                while left > 0:
                    left -= file.write(bytes(min(left, 2**24)))


def many_members(path):
    with zipfile.ZipFile(path, 'w') as archive:
        for number in range(2000):
            archive.writestr(f'{number:0100}.npy', b'')


def coco_of(path, **changes):
    image = dict(id=1, file_name='a.jpg', height=10, width=12)
    entry = dict(id=5, image_id=1, category_id=1, segmentation=[[1, 1, 8, 1, 8, 8]])
    content = dict(
        images=[{**image, **{k: v for k, v in changes.items() if k in image}}],
        annotations=[{**entry, **{k: v for k, v in changes.items() if k in entry}}]
        * changes.get('times', 1),
        categories=[dict(id=1, name='cat')],
    )
    path.write_text(json.dumps(content))


def read_coco(path):
    for image in read_instances(path, CLASSES):
        draw_instances(image, CLASSES)


ZIGZAG = [number for i in range(2**16) for number in (i % 7, 4000 * (i % 2))]
BOMBS = {
    'image, PNG': (lambda p: png_of(8000, 4200, p), read_rgb),
    'image, JPEG header': (lambda p: jpeg_of(65500, 65500, p), read_rgb),
    'image, JPEG header, checked': (lambda p: jpeg_of(20000, 9000, p), check_image),
    'mask': (lambda p: png_of(8000, 4200, p), load_mask),
    'saliency map': (lambda p: png_of(8000, 4200, p), load_saliency),
    'CAM file of zeros': (lambda p: stated_shape(p, (20, 2000, 3400)), load_cam),
    'CAM file, stated shape': (
        lambda p: stated_shape(p, (20, 9000, 9000), size=100),
        load_cam,
    ),
    'score file': (
        lambda p: stated_shape(p, (3, 4000, 6000), names=('low', 'high')),
        load_scores,
    ),
    'archive of many members': (many_members, load_cam),
    'COCO, size': (lambda p: coco_of(p, height=65535, width=65535), read_coco),
    'COCO, many objects': (
        lambda p: coco_of(p, height=5000, width=5000, times=3000),
        read_coco,
    ),
    'COCO, zigzag outline': (
        lambda p: coco_of(p, height=5000, width=5000, segmentation=[ZIGZAG]),
        read_coco,
    ),
    'XML of a million objects': (
        lambda p: p.write_text(
            f'<annotation>{"<object><name>cat</name></object>" * 10**6}</annotation>'
        ),
        read_object_names,
    ),
    'XML of many objects': (
        lambda p: p.write_text(
            f'<annotation>{"<object><name>cat</name></object>" * 10_001}</annotation>'
        ),
        read_object_names,
    ),
    'XML that grows by entities': (
        lambda p: p.write_text(
            '<!DOCTYPE a [<!ENTITY b "cat">]><annotation>&b;</annotation>'
        ),
        read_object_names,
    ),
    'tag table, CSV': (
        lambda p: p.write_bytes(b'image_id,labels\n' + b'a,cat\n' * 12_000_000),
        lambda p: read_tag_file(p, CLASSES),
    ),
    'tag table, JSON': (
        lambda p: p.write_bytes(b'[' + b'[],' * 6_000_000 + b'[]]'),
        lambda p: read_tag_file(p, CLASSES),
    ),
    'list': (lambda p: p.write_bytes(b'\n' * (2**26 + 1)), read_id_list),
    'note': (
        lambda p: p.write_bytes(b'{"a":' * 900_000),
        lambda p: read_object(p, kind='a note'),
    ),
    'metafile': (lambda p: p.write_bytes(b'- a\n' * 2**16), read_checks),
}
SUFFIXES = {'tag table, CSV': '.csv', 'tag table, JSON': '.json'}


@pytest.mark.parametrize('kind', BOMBS)
def test_is_refused_before_it_is_read(kind, tmp_path):
    write, read = BOMBS[kind]
    path = tmp_path / f'bomb{SUFFIXES.get(kind, ".xml")}'
    write(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with pytest.raises(InputError) as refused:
        read(path)
    assert time.monotonic() - start < 5
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024
    text = str(refused.value)
    assert str(path) in text or text.startswith('a.jpg: ')
    assert len(text) < 1000


@pytest.mark.parametrize('kind', ['folder', 'pipe', 'link to a device', 'link loop'])
def test_what_is_no_plain_file_is_refused(kind, tmp_path):
    path = tmp_path / 'a.png'
    {
        'folder': lambda: path.mkdir(),
        'pipe': lambda: os.mkfifo(path),
        'link to a device': lambda: path.symlink_to('/dev/zero'),
        'link loop': lambda: path.symlink_to(path),
    }[kind]()
    for read in (read_rgb, load_mask, load_saliency, load_cam, load_scores):
        with pytest.raises(InputError, match=r'a\.png'):
            read(path)
    for read in (read_id_list, read_object_names, read_checks):
        with pytest.raises(InputError, match=r'a\.png'):
            read(path)


def test_a_link_to_nothing_is_called_so(tmp_path):
    (tmp_path / 'a.jpg').symlink_to('gone.jpg')
    with pytest.raises(InputError, match=r'a\.jpg \(a link to a file that is not th'):
        read_rgb(tmp_path / 'a.jpg')


def test_pictures_of_other_programs_are_not_opened(tmp_path):
    """Pillow would call Ghostscript for these."""
    path = tmp_path / 'a.jpg'
    path.write_bytes(
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n'
    )
    with pytest.raises(
        InputError, match=r'cannot read image .*a\.jpg: cannot identify'
    ):
        read_rgb(path)


def test_what_is_written_can_be_read_again(tmp_path):
    maps = np.broadcast_to(np.float16(0), (3, 8000, 8000))
    with pytest.raises(InputError, match='make the image smaller'):
        save_cam(tmp_path / 'a.npz', [0, 1, 2], maps)
    assert not (tmp_path / 'a.npz').exists()


def test_the_largest_image_takes_less_than_a_gigabyte(tmp_path, root):
    side = int(limits.MOST_PIXELS**0.5)
    png_of(side, side, tmp_path / 'a.png', colour=2)
    script = (
        'import resource, sys\n'
        'from mmcv.transforms import Compose, LoadImageFromFile\n'
        'from wsss_mm.datasets.transforms.loading import BGRToRGB, run_pipeline\n'
        'peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'before = peak()\n'
        'steps = [LoadImageFromFile(imdecode_backend="pillow"), BGRToRGB()]\n'
        'run_pipeline(Compose(steps), dict(img_path=sys.argv[1]))\n'
        'print((peak() - before) // 1024)\n'
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', script, tmp_path / 'a.png'],
        env={**os.environ, 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.splitlines()[-1]) < 1000


def test_the_limits_are_those_of_the_page(root):
    page = Path(root / 'SECURITY.md').read_text()
    for name, unit in LIMITS.items():
        assert unit(getattr(limits, name)) in page, name


LIMITS = {
    'MOST_PIXELS': lambda n: f'{n:,} pixels',
    'MOST_IMAGE_BYTES': lambda n: f'{n // 2**20} MiB',
    'MOST_ARRAY_BYTES': lambda n: f'{n // 2**20} MiB',
    'MOST_TABLE_BYTES': lambda n: f'{n // 2**20} MiB',
    'MOST_JSON_BYTES': lambda n: f'{n // 2**20} MiB',
    'MOST_IMAGES': lambda n: f'{n:,} images',
    'MOST_XML_BYTES': lambda n: f'{n // 2**20} MiB',
    'MOST_OBJECTS': lambda n: f'{n:,} objects',
    'MOST_NOTE_BYTES': lambda n: f'{n // 2**20} MiB',
    'MOST_YAML_BYTES': lambda n: f'{n // 2**10} KiB',
    'MOST_COCO_BYTES': lambda n: f'{n // 2**20} MiB',
}
