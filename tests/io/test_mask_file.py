import numpy as np
import pytest
from PIL import Image

from wsss_mm.io.mask_file import load_mask, save_mask

PALETTE = [[0, 0, 0], [128, 0, 0], [0, 128, 0]]


@pytest.fixture
def mask():
    return np.array([[0, 1, 2, 255], [2, 2, 1, 0]], np.uint8)


def test_round_trip(tmp_path, mask):
    save_mask(tmp_path / 'a.png', mask, PALETTE)
    again = load_mask(tmp_path / 'a.png', num_classes=3)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, mask)


def test_the_png_shows_the_palette(tmp_path, mask):
    save_mask(tmp_path / 'a.png', mask, np.array(PALETTE))
    with Image.open(tmp_path / 'a.png') as image:
        assert image.mode == 'P'
        colours = np.array(image.convert('RGB'))
    np.testing.assert_array_equal(colours[0, 1], [128, 0, 0])
    np.testing.assert_array_equal(colours[0, 3], [255, 255, 255])


def test_grey_png_holds_the_same_indices(tmp_path, mask):
    Image.fromarray(mask).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(load_mask(tmp_path / 'a.png'), mask)


def test_voc_mini_masks_are_read(shared):
    folder = shared / 'data/voc_mini/SegmentationClassAug'
    for path in sorted(folder.iterdir())[:5]:
        assert load_mask(path, num_classes=21).ndim == 2


@pytest.mark.parametrize(
    'mask, palette, match',
    [
        (np.zeros((2, 2), np.int64), PALETTE, 'must be uint8'),
        (np.zeros((1, 2, 2), np.uint8), PALETTE, 'must be uint8'),
        (np.zeros((0, 2), np.uint8), PALETTE, 'must be uint8'),
        (np.zeros((2, 2), np.uint8), [0, 1, 2], 'palette must be'),
        (np.zeros((2, 2), np.uint8), [[0, 0, 300]], 'colours must be'),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, mask, palette, match):
    with pytest.raises(ValueError, match=match):
        save_mask(tmp_path / 'a.png', mask, palette)
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused(tmp_path, mask):
    with pytest.raises(ValueError, match=r'must end in \.png'):
        save_mask(tmp_path / 'a.jpg', mask, PALETTE)


@pytest.mark.parametrize(
    'name, mode, match',
    [
        ('a.png', 'RGB', 'mode RGB'),
        ('a.png', 'I;16', 'mode I;16'),
        ('a.png', '1', 'mode 1'),
        ('a.png', 'LA', 'mode LA'),
        ('a.jpg', 'L', 'a JPEG file'),
    ],
)
def test_other_images_are_refused(tmp_path, name, mode, match):
    Image.new(mode, (4, 3)).save(tmp_path / name)
    with pytest.raises(ValueError, match=rf'{name} is not a mask: .*{match}.*8-bit'):
        load_mask(tmp_path / name)


def test_few_bit_grey_is_refused_because_pillow_stretches_it(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', 4, 1, 2, 0, 0, 0, 0)
    path = tmp_path / 'a.png'
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(b'\x00\x1b'))
        + chunk(b'IEND', b'')
    )
    with pytest.raises(ValueError, match='grey PNG of 2 bits'):
        load_mask(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r'no mask .*a\.png; give the folder'):
        load_mask(tmp_path / 'a.png')


@pytest.mark.parametrize('keep', [0, 10, 60, -40])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / 'a.png'
    noise = np.random.default_rng(0).integers(0, 3, (40, 40)).astype(np.uint8)
    save_mask(path, noise, PALETTE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r'cannot read mask .*a\.png.*make it again'):
        load_mask(path)


def test_a_class_out_of_range_is_named(tmp_path, mask):
    save_mask(tmp_path / 'a.png', mask, PALETTE)
    with pytest.raises(ValueError, match=r'a\.png holds the values \[2\]'):
        load_mask(tmp_path / 'a.png', num_classes=2)
