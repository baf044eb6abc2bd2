"""Damage files of a kind and read them: `python fuzz.py COUNT SEED FOLDER [KIND ...]`.

Prints, as JSON for each kind, how many were read, how many refused, and what ended in
another way: an exception that is not an InputError, a message without the file's name
or of several lines, or a read of more than 5 seconds of a processor. Each kind has a
process of its own, whose peak of memory is that of the readers.
"""

import io
import json
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
import unicodedata
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from wsss_mm.io.image_file import read_rgb
from wsss_mm.utils.errors import InputError

SECONDS = 5
ADDRESS_SPACE = 16 * 2**30
CLASSES = ('circle', 'star', 'square', 'ring', 'traffic light')
FRAGMENTS = [
    *(b'[' * 3000, b'{"a":' * 3000, b'<object>' * 60, b'<a>' * 3000, b'9' * 5000),
    *(
        b'NaN',
        b'Infinity',
        b'-1',
        b'1e999',
        b'.inf',
        b'.nan',
        b'null',
        b'true',
        b'0x' * 9,
    ),
    *(b'\0', b'\r', b'\n', b'\x0c', b'\x1c', b'\x85', '\u2028'.encode(), b'\xff\xfe'),
    *('\ufeff'.encode(), b'\xed\xa0\x80', b'"', b"'", b'""', b',', b'\\', b'\t', b' '),
    *(
        b'../',
        b'/',
        b'./',
        b'C:/',
        b'&lol;',
        b'<!DOCTYPE a [<!ENTITY b "c">]>',
        b'<![CDATA[',
    ),
    *(b'encoding="utf-7"', b'encoding="base64"', b'!!python/object/apply:os.abort []'),
    *(
        b'&a ',
        b'*a',
        b'<<: *a',
        b'? ',
        b'- ',
        b'---',
        b'!!set',
        b'2001-99-99',
        b'65536',
    ),
    *(b'4294967296', b'99999', b'a' * 70000, '\u0301'.encode(), '\U0001f600'.encode()),
]
VALUES = [
    *(None, True, False, 0, -1, 1, 2**16, 2**31, 2**70, 1e308, float('nan')),
    *(float('inf'), '', 'a', '\u2028', '../x', '/etc/x', [], [[]], {}, {'a': 1}),
    *([0] * 300, ['circle'] * 3, 'x' * 2000, [[0, 0, 5, 5]], [[[[]]]]),
]


def damage(data, rng):
    """Change, cut, double, move or insert something in one to four places."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        action = rng.randrange(6)
        if action == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif action == 1 and len(data) > 9:
            del data[at : at + rng.randint(1, 30)]
        elif action == 2:
            data[at:at] = data[at : at + rng.randint(1, 60)]
        elif action == 3:
            data[at:at] = rng.choice(FRAGMENTS)
        elif action == 4:
            number = rng.choice((0, 1, -1, 1 << 30, -(1 << 31), 65535))
            data[at : at + 4] = struct.pack(rng.choice(('<i', '>i')), number)
        elif rng.random() < 0.3:
            del data[max(at, 1) :]
    return bytes(data)


def spoil(value, rng):
    """Replace, drop, repeat or rename parts of a JSON value."""
    if rng.random() < 0.12 or not isinstance(value, (dict, list)) or not value:
        return rng.choice(VALUES) if rng.random() < 0.5 else value
    if isinstance(value, dict):
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.1:
            return {**value, rng.choice(('', 'a', '../x', '\u2028')): value[key]}
        return {**value, key: spoil(value[key], rng)}
    i = rng.randrange(len(value))
    if rng.random() < 0.1:
        return [*value, value[i]]
    return [*value[:i], spoil(value[i], rng), *value[i + 1 :]]


def damaged_json(value):
    """Damage the value, its text, or both."""

    def make(rng):
        changed = value
        for _ in range(rng.randint(0, 2)):
            changed = spoil(changed, rng)
        text = json.dumps(changed, ensure_ascii=rng.random() < 0.5).encode(
            'utf-8', 'surrogatepass'
        )
        return (
            text if changed is not value and rng.random() < 0.5 else damage(text, rng)
        )

    return make


def damaged_bytes(data):
    return lambda rng: damage(data, rng)


CSV = (
    'image_id,labels\na1,circle star\n"b, 2","[""traffic light"", ""ring""]"\n'
    'c/3,\nd4,square\n\u00fc,star\n'
).encode()
LIST = b'a1\nb2\n/JPEGImages/c3.jpg /SegmentationClassAug/c3.png\nsub/d4\n\xc3\xbc\n'
TAGS = {'a': ['circle'], 'b/c': [], 'd': ['star', 'traffic light']}
ROWS = [{'image_id': name, 'labels': tags} for name, tags in TAGS.items()]
XML = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<annotation><filename>x.jpg</filename>'
    b'<size><width>50</width></size>\n<object><name>circle</name><difficult>0'
    b'</difficult><bndbox><xmin>1</xmin></bndbox><part><name>head</name></part></object>'
    b'\n<object><name>star</name></object></annotation>'
)
COCO = {
    'images': [
        {'id': 1, 'file_name': 'a.jpg', 'height': 10, 'width': 12},
        {'id': 2, 'file_name': 'b.jpg', 'height': 20, 'width': 9},
    ],
    'annotations': [
        {
            **{'id': 5, 'image_id': 1, 'category_id': 1, 'iscrowd': 0},
            'segmentation': [[1, 1, 8, 1, 8, 8, 1, 8]],
        },
        {
            **{'id': 6, 'image_id': 1, 'category_id': 2, 'iscrowd': 1},
            'segmentation': {'size': [10, 12], 'counts': [20, 30, 70]},
        },
        {
            **{'id': 7, 'image_id': 2, 'category_id': 2, 'iscrowd': 0},
            'segmentation': [[1.5, 1, 4, 1, 4, 8], [0, 0, 3, 0, 3, 3]],
        },
        {
            **{'id': 8, 'image_id': 2, 'category_id': 1, 'iscrowd': 0},
            'segmentation': {'size': [20, 9], 'counts': 'T3n0b1'},
        },
    ],
    'categories': [{'id': 1, 'name': 'circle'}, {'id': 2, 'name': 'star'}],
}
NOTE = {'cams': {'weights': 'abc', 'model': {'a': [1, {'b': 2}]}}, 'threshold': 0.2}
MARKER = {'made_with': {'settings': NOTE, 'inputs': {}}, 'seconds': 1.5, 'command': 'x'}
OPTIONS = {'model.a': 1, 'b': [1, 2, {'c': 'd'}], 'train_dataloader.batch_size': 2}
METAFILE = b"""Collections:
- Name: x
Models:
- Name: m
  In Collection: x
  Config: c.py
  Metadata: {Recipe: r, Seed: 0, Hardware: h, Commit: c}
  Results:
  - Task: t
    Dataset: d
    Metrics: {mIoU: 1}
    Verify:
      Predictions: cams
      Threshold: 0.2
      Tolerance: 0.1
      Values: {mIoU: 28.6, mIoU_best: 30.7}
  - Task: u
    Verify: {Checkpoint: x.pth, TTA: true, Tolerance: 0, Values: {mIoU: 1}}
"""
GREY = (np.random.default_rng(0).random((9, 8)) * 255).astype(np.uint8)
RGB = np.stack([GREY, GREY.T.reshape(9, 8), GREY[::-1]], axis=-1)
MAPS = np.random.default_rng(0).random((3, 9, 8)).astype(np.float16)


def arrays(compressed, **content):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **content)
    return file.getvalue()


def damaged_arrays(**content):
    """Damage the archive, or the arrays inside of a whole one."""
    whole = [arrays(compressed, **content) for compressed in (True, False)]

    def make(rng):
        data = rng.choice(whole)
        if rng.random() < 0.5:
            return damage(data, rng)
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, 'w') as new:
            for name in old.namelist():
                member = old.read(name)
                if rng.random() < 0.5:
                    member = forged_header(member, rng)
                new.writestr(name, member, rng.choice((0, 8, 12, 14)))
        return out.getvalue()

    return make


def forged_header(member, rng):
    """State another shape or type, or damage the array."""
    if rng.random() < 0.3:
        return damage(member, rng)
    found = np.lib.format.magic(rng.choice((1, 1, 2, 3)), 0)
    shape = tuple(
        rng.choice((0, 1, 3, 9, -1, 10**6, 2**40, True, 1.5, 'a'))
        for _ in range(rng.randint(0, 4))
    )
    kind = rng.choice(
        ('<f2', '<f8', '<i8', '|O', '|V0', '<U9', '|b1', '<M8[ns]', '!', 7)
    )
    text = repr({'descr': kind, 'fortran_order': rng.random() < 0.2, 'shape': shape})
    text = ('(' * 9000 if rng.random() < 0.02 else '') + text + '\n'
    form = '<H' if found[6] == 1 else '<I'
    return found + struct.pack(form, len(text)) + text.encode() + member[128:]


def with_checksums(data):
    """A PNG with the checksums that its chunks should have, or what is left of it."""
    out, at = bytearray(data[:8]), 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from('>I', data, at)
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + struct.pack('>I', zlib.crc32(body))
        at += 12 + size
    return bytes(out)


def encoded(array, form, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format=form, **options)
    return file.getvalue()


def damaged_image(*files):
    def make(rng):
        data = damage(rng.choice(files), rng)
        return (
            with_checksums(data) if rng.random() < 0.7 and data[1:4] == b'PNG' else data
        )

    return make


def exif_of(rng):
    """EXIF data with odd entries, or damaged."""
    order = rng.choice('<>')
    entries = [(0x0112, rng.choice((1, 2, 3, 4, 5, 7, 9, 12)), 1, rng.randint(0, 9))]
    for _ in range(rng.randint(0, 6)):
        tag = rng.choice(
            (0x010E, 0x8769, 0x8825, 0x927C, 0xA005, 0x0112, 0x9286, 1, 42)
        )
        entries.append(
            (
                tag,
                rng.randint(0, 14),
                rng.choice((0, 1, 2, 9, 2**31)),
                rng.randint(0, 400),
            )
        )
    rng.shuffle(entries)
    body = struct.pack(order + 'H', len(entries))
    for tag, kind, count, value in entries:
        if kind == 3:  # a short stands first in its four bytes
            body += struct.pack(order + 'HHIHH', tag, kind, count, value, 0)
        else:
            body += struct.pack(order + 'HHII', tag, kind, count, value)
    head = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'I', 8)
    data = b'Exif\0\0' + head + body + bytes(rng.randrange(256) for _ in range(99))
    return damage(data, rng) if rng.random() < 0.5 else data


def odd_exif(rng):
    form = rng.choice(('JPEG', 'JPEG', 'PNG', 'WEBP', 'TIFF'))
    if form == 'TIFF':
        return damage(encoded(RGB, 'TIFF', compression='raw'), rng)
    return encoded(RGB, form, exif=exif_of(rng)[:60000])


def read_both(path):
    """Read an image in both ways; they must agree."""
    from mmcv.transforms import LoadImageFromFile

    from wsss_mm.datasets.transforms.loading import load

    image = read_rgb(path)
    loaded = load(
        LoadImageFromFile(imdecode_backend='pillow'), dict(img_path=str(path))
    )
    if loaded['img'].shape != image.shape or (loaded['img'][..., ::-1] != image).any():
        raise AssertionError('the loader gives another image')


def named(error, name, path):
    """Put a file's path into a message which names the file in another way."""
    if name not in str(error):
        return AssertionError(f'no {name} in {error}')
    # Settings that differ are listed, a line each.
    return InputError(f'{path}: {str(error).splitlines()[0]}')


def read_xml(path):
    from wsss_mm.datasets.tags import tags_from_xml

    tags_from_xml(path.parent, [path.stem], CLASSES)


def read_coco(path):
    from wsss_mm.datasets.coco import draw_instances, read_instances

    for image in read_instances(path, CLASSES):
        try:
            draw_instances(image, CLASSES)
        except InputError as error:
            raise named(error, image.name, path) from error


def read_marker(path):
    from wsss_mm.workflow.stage import Stage, begin, finished_seconds

    stage = Stage('fuzz', ('x.py',))
    content = path.read_bytes()
    for file in (stage.marker(path.parent), stage.beginning(path.parent)):
        file.write_bytes(content)
    try:
        finished_seconds(stage, path.parent, MARKER['made_with'])
        begin(stage, path.parent, MARKER)
    except InputError as error:
        raise named(error, 'fuzz.', path) from error


def read_folder_note(path):
    from wsss_mm.workflow.kept_files import (
        note_path,
        note_settings,
        noted_threshold,
    )

    folder = path.parent / 'noted'
    note_path(folder).write_bytes(path.read_bytes())
    try:
        noted_threshold(folder)
        note_settings(folder, NOTE, overwrite=False)
    except InputError as error:
        raise named(error, 'noted', path) from error


def reader(module, name, *arguments, **options):
    """Import a reader when it is used."""

    def read(path):
        loaded = __import__(module, fromlist=[name])
        getattr(loaded, name)(path, *arguments, **options)

    return read


TEXTS = [
    *'abcXYZ019 ,;"\'[]{}:&<>|*?!#%\\/._-\t\r\n\0\x0b\x0c\x1c\x85\xa0\xad',
    *('\u2028', '\u2029', '\u200b', '\u3000', '\ufeff', '\u0301', 'e\u0301', '\u00e9'),
    *('\U0001f600', '\ud800', '..', '.jpg', '.PNG', 'NUL', '\u212b', '\ufb01'),
]


def hostile_text(rng):
    text = ''.join(rng.choice(TEXTS) for _ in range(rng.randint(0, 12)))
    return text * rng.choice((1, 1, 1, 1, 90))


def round_trip(path, rng):
    """Tags and lists come back as they were, or are refused when they are written."""
    from wsss_mm.datasets.image_files import read_id_list, write_id_list
    from wsss_mm.datasets.tags import read_tag_file, write_tag_file

    names = tuple({hostile_text(rng) for _ in range(5)})
    tags = {
        hostile_text(rng): tuple(n for n in names if rng.random() < 0.4)
        for _ in range(rng.randint(1, 2))
    }
    write_tag_file(path.with_suffix('.csv'), tags)
    found = read_tag_file(path.with_suffix('.csv'), names)
    assert found == tags, (found, tags)
    assert list(found) == list(tags)
    write_id_list(path, tags)
    assert read_id_list(path) == list(tags)


def ids(path, rng):
    """Results of images of any id go into the output folder, and nowhere else."""
    from wsss_mm.datasets.image_label_dataset import check_stems
    from wsss_mm.io.cam_file import save_cam
    from wsss_mm.io.image_id import normalise_id
    from wsss_mm.io.mask_file import save_mask
    from wsss_mm.io.output_folder import OutputFolder

    area = path.parent
    out = area / 'out'
    text = hostile_text(rng)
    if rng.random() < 0.6:
        parts = ('a', '..', '.', '', 'b', '~', str(area), 'images', 'out', text)
        text = '/'.join(rng.choice(parts) for _ in range(rng.randint(1, 5)))
    name = normalise_id(text, where=path)
    check_stems({name: name}, source=path)
    before = files_beside(area, out)
    output = OutputFolder(out, inputs=[area / 'images'])
    mask = output.path_of(name, '.png', folder='masks')
    save_mask(mask, np.zeros((2, 2), np.uint8), [[0, 0, 0]])
    save_cam(output.path_of(name, '.npz', folder='cams'), [], np.zeros((0, 2, 2)))
    assert mask.resolve().is_relative_to(out.resolve())
    assert unicodedata.is_normalized('NFC', name)
    assert files_beside(area, out) == before


def files_beside(area, out):
    """Read all files of a folder but those of the output folder."""
    return {
        path: path.read_bytes()
        for entry in area.parent.iterdir()
        for path in (entry.rglob('*') if entry != area else area.glob('*'))
        if path.is_file()
    } | {path: path.read_bytes() for path in (area / 'images').rglob('*')}


read_tags = reader('wsss_mm.datasets.tags', 'read_tag_file', CLASSES)
IMAGES = [encoded(RGB, form) for form in ('JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'GIF')]
SCORES = dict(classes=np.array([0, 2]), low=MAPS, high=MAPS)
FILES = {
    'csv': ('t.csv', damaged_bytes(CSV), read_tags),
    'json': ('t.json', damaged_json(TAGS), read_tags),
    'json rows': ('t.json', damaged_json(ROWS), read_tags),
    'xml': ('x.xml', damaged_bytes(XML), read_xml),
    'coco': ('i.json', damaged_json(COCO), read_coco),
    'list': (
        'l.txt',
        damaged_bytes(LIST),
        reader('wsss_mm.datasets.image_files', 'read_id_list'),
    ),
    'cam': (
        'c.npz',
        damaged_arrays(classes=np.array([0, 2, 4]), maps=MAPS),
        reader('wsss_mm.io.cam_file', 'load_cam', num_classes=5),
    ),
    'scores': (
        's.npz',
        damaged_arrays(**SCORES),
        reader('wsss_mm.io.score_file', 'load_scores', num_classes=5),
    ),
    'mask': (
        'm.png',
        damaged_image(encoded(GREY % 4, 'PNG')),
        reader('wsss_mm.io.mask_file', 'load_mask', num_classes=5),
    ),
    'saliency': (
        'y.png',
        damaged_image(encoded(GREY, 'PNG')),
        reader('wsss_mm.io.saliency_file', 'load_saliency'),
    ),
    'image': ('p.jpg', damaged_image(*IMAGES), read_both),
    'exif': ('e.jpg', odd_exif, read_both),
    'marker': ('k.json', damaged_json(MARKER), read_marker),
    'note': ('n.json', damaged_json(NOTE), read_folder_note),
    'options': (
        'o.json',
        damaged_json(OPTIONS),
        reader('wsss_mm.io.json_text', 'read_object', kind='a file of options'),
    ),
    'metafile': (
        'metafile.yml',
        damaged_bytes(METAFILE),
        reader('wsss_mm.workflow.metafile', 'read_checks'),
    ),
}
RANDOM = {'round trip': round_trip, 'ids': ids}
KINDS = [*FILES, *RANDOM]


class TooSlowError(BaseException):
    """A read took too long."""


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def too_slow(*_):
    raise TooSlowError


def warm_up():
    """Import what the readers import when they are used."""
    import wsss_mm.datasets
    import wsss_mm.workflow.metafile
    import wsss_mm.workflow.stage  # noqa: F401


def try_kind(kind, count, seed, folder):
    """Try one kind; return what happened."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    signal.signal(signal.SIGPROF, too_slow)
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    (folder / 'images/a.png').write_bytes(encoded(GREY, 'PNG'))
    before = peak_megabytes()
    result = dict(kind=kind, read=0, refused=0, failures=[], slowest=0.0)
    for number in range(count):
        rng = random.Random(f'{seed} {kind} {number}')
        if kind in FILES:
            name, make, read = FILES[kind]
            path = folder / name
            path.write_bytes(make(rng))
            act = lambda read=read, path=path: read(path)  # noqa: E731
        else:
            path = folder / 'r.txt'
            act = lambda path=path, rng=rng: RANDOM[kind](path, rng)  # noqa: E731
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            act()
            result['read'] += 1
        except InputError as error:
            result['refused'] += 1
            text = str(error)
            # Results that cannot be written are named instead of the text.
            if str(path.parent) not in text or '\n' in text or len(text) > 2000:
                result['failures'].append([number, f'message: {text[:500]!r}'])
        except (Exception, TooSlowError):
            result['failures'].append([number, traceback.format_exc()[-1500:]])
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        result['slowest'] = max(
            result['slowest'], round(time.process_time() - start, 2)
        )
    # Beside the libraries, which have about 700.
    result['megabytes'] = peak_megabytes() - before
    return result


def main(count, seed, folder, *kinds):
    """Try each kind in a process of its own; print a line of JSON for each."""
    warm_up()
    for kind in kinds or KINDS:
        child = os.fork()
        if not child:
            result = try_kind(kind, int(count), seed, Path(folder) / kind / 'area')
            sys.stdout.write(json.dumps(result) + '\n')
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            result = dict(kind=kind, failures=[[-1, f'ended with {status}']])
            sys.stdout.write(json.dumps(result) + '\n')
            sys.stdout.flush()


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    main(*sys.argv[1:])
