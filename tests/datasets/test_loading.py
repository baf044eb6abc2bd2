"""The stock loader and the step behind it read images as `read_rgb` does."""

import mmcv
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from wsss_mm.datasets import ImageLabelDataset
from wsss_mm.datasets.transforms import BGRToRGB
from wsss_mm.io.image_file import read_rgb
from wsss_mm.utils.errors import InputError

LOADER = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def load(path):
    return Compose(LOADER)(dict(img_path=str(path)))


@pytest.mark.parametrize(
    ('suffix', 'mode'),
    [
        *(('png', mode) for mode in ('RGB', 'L', '1', 'P', 'RGBA')),
        *(('jpg', mode) for mode in ('RGB', 'L', 'CMYK')),
        *(('tif', mode) for mode in ('RGB', 'L', '1', 'P', 'RGBA', 'CMYK')),
    ],
)
def test_files_are_decoded_as_read_rgb_does(picture, tmp_path, mode, suffix):
    path = tmp_path / f'a.{suffix}'
    picture.convert(mode).save(path)
    loaded = load(path)
    np.testing.assert_array_equal(loaded['img'], read_rgb(path))
    assert loaded['img_shape'] == loaded['ori_shape'] == (20, 31)


def test_a_palette_with_transparency_keeps_its_colours(picture, tmp_path):
    picture.quantize(16).save(tmp_path / 'a.png', transparency=3)
    np.testing.assert_array_equal(
        load(tmp_path / 'a.png')['img'], read_rgb(tmp_path / 'a.png')
    )


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_the_exif_orientation_is_applied(picture, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / 'a.jpg', exif=exif, quality=95)
    loaded = load(tmp_path / 'a.jpg')
    np.testing.assert_array_equal(loaded['img'], read_rgb(tmp_path / 'a.jpg'))
    assert loaded['ori_shape'] == ((31, 20) if orientation > 4 else (20, 31))


def test_files_and_arrays_of_voc_images_agree(shared):
    for path in sorted((shared / 'data/voc_mini/JPEGImages').iterdir())[:20]:
        array = mmcv.imread(str(path))
        results = BGRToRGB()(dict(img=array, img_path=None))
        np.testing.assert_array_equal(results['img'], load(path)['img'])


def test_channels_are_reversed_and_the_array_is_left_alone(picture):
    array = np.array(picture)
    before = array.copy()
    found = BGRToRGB()(dict(img=array))['img']
    np.testing.assert_array_equal(array, before)
    assert found.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], array[..., 2 - channel])
    assert repr(BGRToRGB()) == 'BGRToRGB()'


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.uint16),
    ],
)
def test_other_arrays_are_refused(image):
    with pytest.raises(InputError, match=r'must be BGR, uint8 \(H, W, 3\), not'):
        BGRToRGB()(dict(img=image))


def test_the_loader_of_older_configs_is_refused():
    with pytest.raises(InputError, match=r"replace it by .*'pillow'\) and .*BGRToRGB"):
        Compose([dict(type='LoadRGBImage')])


@pytest.fixture
def dataset(picture, tmp_path):
    """A dataset of one image, `images/a.png`."""
    (tmp_path / 'images').mkdir()
    picture.save(tmp_path / 'images/a.png')
    (tmp_path / 'list.txt').write_text('a\n')
    return ImageLabelDataset(
        'list.txt',
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images'),
        metainfo=dict(classes=('background', 'cat')),
        pipeline=LOADER,
    )


def test_a_dataset_gives_rgb(dataset, picture):
    np.testing.assert_array_equal(dataset[0]['img'], np.array(picture))


def test_a_missing_file_is_named(dataset, tmp_path):
    (tmp_path / 'images/a.png').unlink()
    with pytest.raises(InputError, match=r'no image .*images/a\.png'):
        dataset[0]


@pytest.mark.parametrize('damage', [b'', b'not an image', None])
def test_a_damaged_file_is_named(dataset, tmp_path, damage):
    path = tmp_path / 'images/a.png'
    path.write_bytes(path.read_bytes()[:300] if damage is None else damage)
    with pytest.raises(InputError, match=r'cannot read .*images/a\.png'):
        dataset[0]


@pytest.mark.parametrize('mode', ['I;16', 'I', 'F', 'RGB;16'])
def test_more_than_8_bits_are_refused(dataset, tmp_path, mode):
    """The loader would cut them off without a word."""
    path = tmp_path / 'images/a.png'
    if mode == 'RGB;16':
        mmcv.imwrite(np.full((20, 31, 3), 40000, np.uint16), str(path))
    elif mode == 'I;16':
        Image.fromarray(np.full((20, 31), 40000, np.uint16)).save(path)
    else:
        Image.new(mode, (31, 20)).save(path, format='TIFF')
    with pytest.raises(InputError, match=r'images/a\.png has (16|32) bits a channel'):
        dataset[0]


def test_a_failure_of_another_step_stays_as_it_is(dataset):
    def fail(_results):
        raise OSError('no space left')

    dataset.pipeline.transforms.append(fail)
    with pytest.raises(OSError, match='no space left'):
        dataset[0]
