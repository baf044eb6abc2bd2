"""tools/dataset_converters/coco14.py on three small images in COCO's format."""

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from wsss_mm.datasets import COCOImageLabelDataset
from wsss_mm.datasets.tags import read_tag_file
from wsss_mm.io.mask_file import load_mask

CATEGORIES = [
    dict(id=1, name='person'),
    dict(id=10, name='traffic light'),
    dict(id=90, name='toothbrush'),
]


@pytest.fixture
def convert(root):
    path = root / 'tools/dataset_converters/coco14.py'
    spec = importlib.util.spec_from_file_location('coco14', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        module.main([*map(str, arguments), '--workers', '1'])

    return run


@pytest.fixture
def folder(tmp_path):
    """Two training images, one without objects, and one validation image."""
    boxes = {
        'train': [(3, 10, [8, 4, 20, 4, 20, 16, 8, 16]), (3, 1, [0, 0, 4, 0, 4, 4])],
        'val': [(5, 90, [0, 0, 32, 0, 32, 12, 0, 12])],
    }
    for split, numbers in (('train', (3, 4)), ('val', (5,))):
        names = {i: f'COCO_{split}2014_{i:012}.jpg' for i in numbers}
        (tmp_path / f'{split}2014').mkdir()
        for name in names.values():
            Image.new('RGB', (32, 24), (9, 9, 9)).save(tmp_path / f'{split}2014' / name)
        content = dict(
            categories=CATEGORIES,
            images=[
                dict(id=i, file_name=name, height=24, width=32)
                for i, name in names.items()
            ],
            annotations=[
                dict(id=n, image_id=i, category_id=c, iscrowd=0, segmentation=[corners])
                for n, (i, c, corners) in enumerate(boxes[split])
            ],
        )
        path = tmp_path / f'annotations/instances_{split}2014.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path


def test_lists_tags_and_masks(convert, folder):
    convert(folder, '--partial')
    lists = folder / 'ImageSets/Segmentation'
    assert (lists / 'train.txt').read_text() == 'COCO_train2014_000000000003\n'
    assert (lists / 'val.txt').read_text() == 'COCO_val2014_000000000005\n'
    classes = COCOImageLabelDataset.METAINFO['classes'][1:]
    assert read_tag_file(folder / 'image_labels.csv', classes) == {
        'COCO_train2014_000000000003': ('person', 'traffic light'),
        'COCO_val2014_000000000005': ('toothbrush',),
    }
    masks = folder / 'SegmentationClass'
    assert len(list(masks.iterdir())) == 2
    expected = np.zeros((24, 32), np.uint8)
    expected[:12] = 80
    mask = load_mask(masks / 'COCO_val2014_000000000005.png')
    assert np.array_equal(mask, expected)
    mask = load_mask(masks / 'COCO_train2014_000000000003.png')
    assert (mask[4:16, 8:20] == 10).all()
    assert set(np.unique(mask)) == {0, 1, 10}


def test_the_dataset_reads_what_was_written(convert, folder):
    convert(folder, '--partial')
    dataset = COCOImageLabelDataset(
        'ImageSets/Segmentation/train.txt',
        data_root=str(folder),
        data_prefix=dict(img_path='train2014', seg_map_path='SegmentationClass'),
    )
    item = dataset.get_data_info(0)
    assert np.flatnonzero(item['image_labels']).tolist() == [0, 9]
    assert item['mask_classes'] == 81
    assert load_mask(item['seg_map_path'], num_classes=81).shape == (24, 32)


def test_a_second_run_keeps_masks_and_draws_those_missing(convert, folder):
    convert(folder, '--partial')
    kept, lost = sorted((folder / 'SegmentationClass').iterdir())
    before, drawn = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    convert(folder, '--partial')
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == drawn


def test_tags_need_no_masks(convert, folder):
    convert(folder, '--partial', '--no-masks')
    assert (folder / 'image_labels.csv').is_file()
    assert not (folder / 'SegmentationClass').exists()


def refusal(convert, capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        convert(*arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_another_number_of_images_is_refused(convert, folder, capsys):
    message = refusal(convert, capsys, folder)
    assert 'instances_train2014.json has 1 images with objects' in message
    assert '82081' in message
    assert '--partial' in message


def test_annotations_of_nothing_are_refused(convert, folder, capsys):
    path = folder / 'annotations/instances_val2014.json'
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    message = refusal(convert, capsys, folder, '--partial')
    assert f'{path} has no image with an object' in message
    assert not (folder / 'ImageSets').exists()


def test_missing_images_are_named(convert, folder, capsys):
    (folder / 'val2014/COCO_val2014_000000000005.jpg').unlink()
    message = refusal(convert, capsys, folder, '--partial')
    assert 'lacks 1 of 1 images' in message
    assert 'COCO_val2014_000000000005.jpg; unpack val2014.zip into' in message
    # Neither lists nor tags are left of what could not be finished.
    assert not (folder / 'image_labels.csv').exists()
    assert not (folder / 'ImageSets').exists()


def test_missing_annotations_are_named(convert, tmp_path, capsys):
    message = refusal(convert, capsys, tmp_path)
    assert 'annotations/instances_train2014.json' in message
    assert 'annotations_trainval2014.zip' in message
