"""Bad data ends in a message that names the file and the mend."""

import io
import json
import re
import struct
import unicodedata
import zlib

import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import pseudo_collate
from PIL import Image
from torch.utils.data import DataLoader

from wsss_mm.datasets import (
    BGRToRGB,
    ImageLabelDataset,
    LoadEvaluationMask,
    LoadTrainingMask,
)
from wsss_mm.datasets.health import check_dataset
from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask

META = dict(classes=('background', 'cat', 'dog'))
LOADER = [LoadImageFromFile(imdecode_backend='pillow'), BGRToRGB()]
PIPELINE = [*LOADER, LoadEvaluationMask()]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    for name in ('a', 'b'):
        path = tmp_path / 'images' / f'{name}.jpg'
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise).save(path)
        save_mask(
            tmp_path / 'masks' / f'{name}.png',
            np.ones((20, 30), np.uint8),
            [[0, 0, 0]],
        )
    (tmp_path / 'tags.csv').write_text('image_id,labels\na,cat\nb,dog\n')
    (tmp_path / 'list.txt').write_text('a\nb\n')
    return tmp_path


def build(folder, **settings):
    base = dict(
        ann_file='list.txt',
        data_root=str(folder),
        tags='tags.csv',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        metainfo=META,
        pipeline=PIPELINE,
    )
    return ImageLabelDataset(**{**base, **settings})


def examine(folder, **settings):
    return check_dataset(build(folder, lazy_init=True, **settings))


def load_a(folder):
    return build(folder)[0]


def write_png(path, *, depth, colour, raw, width, height):
    """Write a PNG that Pillow itself cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(raw))
        + chunk(b'IEND', b'')
    )


def test_a_missing_image_is_named_before_training(folder):
    (folder / 'images/b.jpg').unlink()
    match = r"no image .*images/b .* for 'b' of .*list\.txt; add the image or remove"
    with pytest.raises(ValueError, match=match):
        build(folder)


def test_an_image_that_goes_missing_later_is_named(folder):
    dataset = build(folder)
    (folder / 'images/a.jpg').unlink()
    with pytest.raises(ValueError, match=r'no image .*a\.jpg; add it or remove it'):
        dataset[0]


@pytest.mark.parametrize('keep', [0, 30, 500, -60])
def test_a_truncated_jpeg_is_named(folder, keep):
    path = folder / 'images/a.jpg'
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r'cannot read .*a\.jpg.*get it again or rem'):
        load_a(folder)


def test_a_loader_worker_hands_the_message_on(folder):
    path = folder / 'images/a.jpg'
    path.write_bytes(path.read_bytes()[:500])
    loader = DataLoader(build(folder), num_workers=1, collate_fn=pseudo_collate)
    with pytest.raises(ValueError, match=r'cannot read .*a\.jpg.*get it again'):
        next(iter(loader))


def test_a_text_file_in_the_place_of_an_image_is_named(folder):
    (folder / 'images/a.jpg').write_text('404: not found')
    with pytest.raises(ValueError, match=r'cannot read .*a\.jpg.*no image'):
        load_a(folder)


@pytest.mark.parametrize('mode', ['L', 'CMYK'])
def test_grey_and_cmyk_jpegs_become_rgb(folder, mode):
    colour = 90 if mode == 'L' else (255, 0, 0, 0)
    Image.new(mode, (30, 20), colour).save(folder / 'images/a.jpg')
    image = load_a(folder)['img']
    assert image.shape == (20, 30, 3)
    expected = [90, 90, 90] if mode == 'L' else [0, 255, 255]
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - expected).max() < 4


@pytest.mark.parametrize('mode', ['P', 'RGBA', 'LA', '1'])
def test_palette_alpha_and_one_bit_pngs_become_rgb(folder, mode):
    (folder / 'images/a.jpg').unlink()
    source = Image.new('RGB', (30, 20), (255, 255, 255))
    source.convert(mode).save(folder / 'images/a.png')
    image = load_a(folder)['img']
    assert image.shape == (20, 30, 3)
    assert image.dtype == np.uint8
    assert (image == 255).all()


@pytest.mark.parametrize('colour, channels', [(0, 1), (2, 3), (6, 4)])
def test_a_16_bit_png_is_refused(folder, colour, channels):
    (folder / 'images/a.jpg').unlink()
    raw = (b'\x00' + b'\x12\x34' * 30 * channels) * 20
    path = folder / 'images/a.png'
    write_png(path, depth=16, colour=colour, raw=raw, width=30, height=20)
    with pytest.raises(ValueError, match=r'a\.png has 16 bits.*convert it to 8'):
        load_a(folder)


def test_a_float_image_is_refused(folder):
    buffer = io.BytesIO()
    Image.new('F', (30, 20)).save(buffer, format='TIFF')
    (folder / 'images/a.jpg').write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r'a\.jpg has 32 bits.*convert it'):
        load_a(folder)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_an_exif_rotated_jpeg_is_turned_upright(folder, orientation):
    """The stored pixels are turned back to what a viewer shows."""
    shown = np.zeros((20, 30, 3), np.uint8)
    shown[:6, :9] = 255
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(shown)))
    stored.save(folder / 'images/a.jpg', exif=exif, quality=100)
    results = load_a(folder)
    assert results['ori_shape'] == (20, 30)
    assert np.abs(results['img'].astype(int) - shown).mean() < 10


def test_a_mask_that_ignores_the_exif_orientation_is_refused(folder):
    exif = Image.Exif()
    exif[274] = 6
    Image.new('RGB', (30, 20)).save(folder / 'images/a.jpg', exif=exif)
    match = r'mask .*a\.png has 30x20.*a\.jpg 20x30 \(EXIF orient.*make the mask'
    with pytest.raises(ValueError, match=match):
        load_a(folder)


@pytest.mark.parametrize('loader', [LoadEvaluationMask, LoadTrainingMask])
def test_a_mask_of_another_size_is_refused(folder, loader):
    save_mask(folder / 'masks/a.png', np.zeros((20, 31), np.uint8), [[0, 0, 0]])
    dataset = build(folder, pipeline=[*LOADER, loader()])
    with pytest.raises(ValueError, match=r'a\.png has 31x20 .*30x20.*make the mask'):
        dataset[0]


@pytest.mark.parametrize('loader', [LoadEvaluationMask, LoadTrainingMask])
def test_a_mask_with_too_many_classes_is_refused(folder, loader):
    save_mask(folder / 'masks/a.png', np.full((20, 30), 3, np.uint8), [[0, 0, 0]])
    dataset = build(folder, pipeline=[*LOADER, loader()])
    with pytest.raises(ValueError, match=r'a\.png holds the values \[3\].*class list'):
        dataset[0]


def test_training_on_masks_without_masks_is_refused(folder):
    dataset = build(
        folder,
        data_prefix=dict(img_path='images'),
        pipeline=[*LOADER, LoadTrainingMask()],
    )
    with pytest.raises(ValueError, match=r'a\.jpg has no mask to train on; set data'):
        dataset[0]


def test_a_missing_mask_is_named(folder):
    (folder / 'masks/a.png').unlink()
    with pytest.raises(ValueError, match=r"no mask .*masks/a\.png for image 'a'"):
        build(folder)


def test_a_tag_outside_the_class_list_is_named(folder):
    (folder / 'tags.csv').write_text('image_id,labels\na,cat\nb,dgo\n')
    with pytest.raises(ValueError, match=r"tags\.csv:3: the tag 'dgo'.*mean 'dog'"):
        build(folder)


def test_an_image_without_tags_is_named(folder):
    (folder / 'tags.csv').write_text('image_id,labels\na,cat\n')
    match = r"tags\.csv has no tags for 1 .*'b'.*leave labels empty"
    with pytest.raises(ValueError, match=match):
        build(folder)


def test_an_image_of_background_only_is_allowed_when_written_so(folder):
    (folder / 'tags.csv').write_text('image_id,labels\na,cat\nb,\n')
    assert build(folder)[1]['image_labels'].tolist() == [0, 0]


def test_duplicate_ids_are_named(folder):
    (folder / 'list.txt').write_text('a\nb\na\n')
    with pytest.raises(ValueError, match=r"list\.txt:3: image 'a' .* line 1; keep one"):
        build(folder)
    (folder / 'list.txt').write_text('a\nb\n')
    (folder / 'tags.csv').write_text('image_id,labels\na,cat\na,dog\nb,\n')
    with pytest.raises(ValueError, match=r"tags\.csv:3: image 'a' occurs twice"):
        build(folder)


@pytest.mark.parametrize('text', ['', '\n\n  \n'])
def test_an_empty_list_is_named(folder, text):
    (folder / 'list.txt').write_text(text)
    with pytest.raises(ValueError, match=r'list\.txt is empty; write one image id'):
        build(folder)


def test_a_missing_list_is_named(folder):
    with pytest.raises(ValueError, match=r'no list file .*train\.txt; write one'):
        build(folder, ann_file='train.txt')


def test_an_id_that_fits_two_images_is_named(folder):
    Image.new('RGB', (30, 20)).save(folder / 'images/a.png')
    with pytest.raises(ValueError, match=r"'a' of .*a\.jpg, a\.png .*its extension"):
        build(folder)


@pytest.mark.parametrize('size', [(1, 1), (8000, 30), (30, 8000)])
def test_images_of_extreme_size_are_loaded(folder, size):
    Image.new('RGB', size).save(folder / 'images/a.jpg')
    mask = np.zeros(size[::-1], np.uint8)
    save_mask(folder / 'masks/a.png', mask, [[0, 0, 0]])
    assert load_a(folder)['img'].shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    'write',
    [
        lambda path: save_cam(path / 'x.npz', [0], np.ones((1, 2, 2))),
        lambda path: save_mask(path / 'x.png', np.zeros((2, 2), np.uint8), [[0] * 3]),
    ],
)
def test_an_unwritable_output_is_named(folder, write):
    with pytest.raises(ValueError, match=r'cannot write .*list\.txt/x.*you may write'):
        write(folder / 'list.txt')


def test_the_tensors_of_a_good_item(folder):
    item = build(folder)[1]
    assert torch.from_numpy(item['img']).dtype == torch.uint8
    assert (item['gt_seg_map'] == 1).all()
    assert item['image_labels'].tolist() == [0, 1]


BAD_IDS = ['/a', '../images/a', 'x/../a', 'sub\\a', 'C:/a', 'a\x0cb', 'a\x85', '..']


@pytest.mark.parametrize('image_id', BAD_IDS)
@pytest.mark.parametrize('file', ['list.txt', 'tags.csv', 'tags.json'])
def test_an_id_that_leads_out_is_refused_wherever_it_stands(folder, file, image_id):
    entries = {'a': ['cat'], 'b': [], image_id: ['dog']}
    text = {
        'list.txt': f'a\nb\n{image_id}\n',
        'tags.csv': f'image_id,labels\na,cat\nb,\n{image_id},dog\n',
        'tags.json': json.dumps(entries),
    }[file]
    (folder / file).write_text(text, encoding='utf-8')
    line = {'list.txt': ':3', 'tags.csv': ':4', 'tags.json': ''}[file]
    match = rf'{file}{line}: the image id {re.escape(repr(image_id))} .*; write the'
    settings = {} if file == 'list.txt' else dict(tags=file)
    with pytest.raises(ValueError, match=match):
        build(folder, **settings)
    problems = examine(folder, **settings).problems
    assert re.search(match, problems['list' if file == 'list.txt' else 'tags'][0])


@pytest.mark.parametrize('again', ['./a', './/a', 'caf\u00e9'])
def test_two_spellings_of_one_image_are_refused(folder, again):
    first = 'a' if again.startswith('.') else unicodedata.normalize('NFD', again)
    (folder / 'list.txt').write_text(f'{first}\n{again}\n', encoding='utf-8')
    with pytest.raises(ValueError, match=r'list\.txt:2: image .* is already on line 1'):
        build(folder)
    (folder / 'list.txt').write_text('a\n')
    text = f'image_id,labels\n{first},cat\n{again},dog\n'
    (folder / 'tags.csv').write_text(text, encoding='utf-8')
    with pytest.raises(ValueError, match=r'tags\.csv:3: image .* occurs twice'):
        build(folder)


@pytest.mark.parametrize('listed', ['NFC', 'NFD'])
@pytest.mark.parametrize('stored', ['NFC', 'NFD'])
def test_either_unicode_form_finds_the_image(folder, listed, stored):
    name, file = (unicodedata.normalize(form, 'caf\u00e9') for form in (listed, stored))
    for kind, end in (('images', 'jpg'), ('masks', 'png')):
        (folder / kind / f'a.{end}').rename(folder / kind / f'{file}.{end}')
    (folder / 'list.txt').write_text(f'{name}\n', encoding='utf-8')
    text = f'image_id,labels\n{name},cat\n'
    (folder / 'tags.csv').write_text(text, encoding='utf-8')
    info = build(folder).get_data_info(0)
    assert info['img_id'] == 'caf\u00e9'
    assert info['img_path'].endswith(f'{file}.jpg')
    assert info['seg_map_path'].endswith(f'{file}.png')
    assert examine(folder).problems.get('images') is None


@pytest.mark.parametrize('suffix', ['.Jpg', '.jPEG', '.PNG'])
def test_extensions_may_have_either_case(folder, suffix):
    (folder / 'images/a.jpg').rename(folder / f'images/a{suffix}')
    assert build(folder).get_data_info(0)['img_path'].endswith(f'a{suffix}')
