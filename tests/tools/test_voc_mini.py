"""tools/dataset_converters/voc_mini.py rebuilds the voc_mini that figures are from."""

import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

from wsss_mm.datasets.image_files import read_id_list
from wsss_mm.datasets.tags import read_tag_file
from wsss_mm.io.mask_file import load_mask

CLASSES = ('dog', 'person')


@pytest.fixture
def tool(root):
    path = root / 'tools/dataset_converters/voc_mini.py'
    spec = importlib.util.spec_from_file_location('voc_mini', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lists(tool, tmp_path, monkeypatch):
    folder = tmp_path / 'lists'
    folder.mkdir()
    monkeypatch.setattr(tool, 'LISTS', folder)
    for name, ids in (('train', 'a'), ('trainaug', 'ab'), ('val', 'c')):
        (folder / f'{name}.txt').write_text('\n'.join(ids))
    return folder


@pytest.fixture
def voc(tmp_path):
    """Three images of VOC's proportions; the second has a mask of SBD alone."""
    voc = tmp_path / 'VOC2012'
    for name in ('JPEGImages', 'Annotations', 'SegmentationClass'):
        (voc / name).mkdir(parents=True)
    (voc / 'SegmentationClassAug').mkdir()
    rng = np.random.default_rng(0)
    for name, (width, height) in dict(a=(500, 375), b=(334, 500), c=(500, 333)).items():
        coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height))
        image.save(voc / f'JPEGImages/{name}.jpg', quality=95)
        mask = np.zeros((height, width), np.uint8)
        mask[: height // 2, width // 3 :] = 12
        mask[height // 2 - 4 : height // 2] = 255
        folder = 'SegmentationClassAug' if name == 'b' else 'SegmentationClass'
        Image.fromarray(mask).save(voc / f'{folder}/{name}.png')
        xml = '<annotation><object><name>dog</name></object></annotation>'
        (voc / f'Annotations/{name}.xml').write_text(xml)
    # SBD's mask of an image that has VOC's own: not to be taken.
    Image.new('L', (500, 375)).save(voc / 'SegmentationClassAug/a.png')
    return voc


def run(tool, *arguments):
    tool.main([*map(str, arguments), '--workers', '1'])


def test_sizes_masks_tags_and_lists(tool, lists, voc, tmp_path, capsys):
    out = tmp_path / 'out'
    run(tool, voc, out)
    assert '3 images, 3 masks' in capsys.readouterr().out
    for name, size in dict(a=(320, 240), b=(214, 320), c=(320, 213)).items():
        image = Image.open(out / f'JPEGImages/{name}.jpg')
        assert image.size == size
        # The tables of quality 85, as those of the images the figures were made with.
        assert list(image.quantization[0][:8]) == [5, 3, 3, 5, 7, 12, 15, 18]
        mask = load_mask(out / f'SegmentationClassAug/{name}.png', num_classes=21)
        assert mask.shape == size[::-1]
        assert set(np.unique(mask)) == {0, 12, 255}
    for name in ('train', 'trainaug', 'val'):
        given = read_id_list(lists / f'{name}.txt')
        assert read_id_list(out / f'ImageSets/Segmentation/{name}.txt') == given
    tags = read_tag_file(out / 'image_labels.csv', CLASSES)
    assert tags == dict.fromkeys('abc', ('dog',))


def test_masks_of_sbd_are_optional_and_those_of_voc_are_not(
    tool, lists, voc, tmp_path, capsys
):
    (voc / 'SegmentationClassAug/b.png').unlink()
    run(tool, voc, tmp_path / 'out')
    assert '3 images, 2 masks' in capsys.readouterr().out
    (voc / 'SegmentationClass/c.png').unlink()
    with pytest.raises(SystemExit):
        run(tool, voc, tmp_path / 'again')
    assert 'SegmentationClass lacks c.png and 0 more' in capsys.readouterr().err
    assert not (tmp_path / 'again/ImageSets').exists()


def test_missing_images_are_named(tool, lists, voc, tmp_path, capsys):
    (voc / 'Annotations/a.xml').unlink()
    with pytest.raises(SystemExit) as stopped:
        run(tool, voc, tmp_path / 'out')
    assert stopped.value.code == 2
    assert "image 'a' has no annotation" in capsys.readouterr().err


def test_folders_that_would_go_wrong_are_refused(tool, lists, voc, capsys):
    before = (voc / 'JPEGImages/a.jpg').read_bytes()
    for source, out, message in (
        (voc.parent, voc.parent / 'out', 'holds no folder JPEGImages; give the folder'),
        (voc, voc / '../VOC2012', 'VOC itself'),
    ):
        with pytest.raises(SystemExit) as stopped:
            run(tool, source, out)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
    assert (voc / 'JPEGImages/a.jpg').read_bytes() == before


def test_a_run_again_mends_what_was_lost(tool, lists, voc, tmp_path):
    out = tmp_path / 'out'
    run(tool, voc, out)
    files = {path: path.read_bytes() for path in out.rglob('*.*')}
    (out / 'JPEGImages/b.jpg').write_bytes(b'cut off')
    (out / 'SegmentationClassAug/c.png').unlink()
    run(tool, voc, out)
    assert {path: path.read_bytes() for path in out.rglob('*.*')} == files


def test_the_lists_are_those_of_the_figures(tool, shared):
    """And the sizes, the JPEG quality and the tags' and masks' ids are theirs."""
    folder = shared / 'data/voc_mini/ImageSets/Segmentation'
    for name, count in (('train', 311), ('trainaug', 518), ('val', 220)):
        ids = read_id_list(tool.LISTS / f'{name}.txt')
        assert ids == read_id_list(folder / f'{name}.txt')
        assert len(ids) == count
    names = {name for path in tool.LISTS.glob('*.txt') for name in read_id_list(path)}
    data = shared / 'data/voc_mini'
    assert len(names) == 738
    assert names == {path.stem for path in (data / 'JPEGImages').glob('*.jpg')}
    assert names == {path.stem for path in (data / tool.MASKS).glob('*.png')}
    assert names == set(
        read_tag_file(data / 'image_labels.csv', tool.METAINFO['classes'][1:])
    )
    buffer = io.BytesIO()
    Image.new('RGB', (8, 8)).save(buffer, format='JPEG', quality=tool.QUALITY)
    tables = Image.open(buffer).quantization
    for name in sorted(names)[::40]:
        image = Image.open(data / f'JPEGImages/{name}.jpg')
        assert max(image.size) == tool.LONG_SIDE
        assert image.quantization == tables
