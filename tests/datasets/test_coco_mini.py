"""Real COCO annotations against pycocotools: classes, ids, outlines, crowds."""

import importlib.util
import os

import numpy as np
import pytest

from wsss_mm.datasets.coco import CLASSES, draw_object, read_instances
from wsss_mm.datasets.tags import read_tag_file
from wsss_mm.io.mask_file import IGNORE, load_mask

SPLITS = ('train', 'val')


@pytest.fixture(scope='module')
def coco_mini(shared):
    return shared / 'data/coco_mini'


@pytest.fixture(scope='module')
def theirs(coco_mini):
    coco = pytest.importorskip('pycocotools.coco')
    annotations = coco_mini / 'annotations'
    return {
        split: coco.COCO(str(annotations / f'instances_{split}2017.json'))
        for split in SPLITS
    }


@pytest.fixture(scope='module')
def ours(coco_mini):
    return {
        split: read_instances(
            coco_mini / f'annotations/instances_{split}2017.json', CLASSES[1:]
        )
        for split in SPLITS
    }


@pytest.fixture(scope='module')
def prepared(coco_mini, tmp_path_factory, root):
    """What the converter makes of the images and their own annotation files."""
    folder = tmp_path_factory.mktemp('coco')
    for name in ('train2017', 'val2017', 'annotations'):
        os.symlink(coco_mini / name, folder / name)
    path = root / 'tools/dataset_converters/coco14.py'
    spec = importlib.util.spec_from_file_location('coco14', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(folder), '--year', '2017', '--partial', '--workers', '1'])
    return folder


def test_class_numbers_follow_the_category_ids_over_their_gaps(theirs):
    api = theirs['train']
    ids = sorted(api.getCatIds())
    assert (len(ids), ids[-1]) == (80, 90)
    assert tuple(entry['name'] for entry in api.loadCats(ids)) == CLASSES[1:]


@pytest.mark.parametrize('split', SPLITS)
def test_every_object_covers_the_pixels_that_pycocotools_gives_it(split, theirs, ours):
    api, wrong, total = theirs[split], 0, 0
    assert sum(len(image.objects) for image in ours[split]) == len(api.anns)
    for image in ours[split]:
        for entry in image.objects:
            expected = api.annToMask(api.anns[entry['id']]).astype(bool)
            found = draw_object(entry['segmentation'], image.size)
            if entry['iscrowd']:
                assert np.array_equal(found, expected)
            wrong += (found != expected).sum()
            total += expected.sum()
    # Outlines are rounded to a fifth of a pixel there.
    assert wrong < 0.002 * total


@pytest.mark.parametrize('split', SPLITS)
def test_masks_and_tags_of_the_prepared_folder(split, theirs, prepared):
    api = theirs[split]
    tags = read_tag_file(prepared / 'image_labels.csv', CLASSES[1:])
    numbers = {key: CLASSES.index(c['name']) for key, c in api.cats.items()}
    listed = (prepared / f'ImageSets/Segmentation/{split}.txt').read_text().split()
    names = {os.path.splitext(i['file_name'])[0]: i['id'] for i in api.imgs.values()}
    assert set(listed) == {name for name in names if api.imgToAnns[names[name]]}
    for name in listed:
        objects = api.imgToAnns[names[name]]
        expected = {api.cats[entry['category_id']]['name'] for entry in objects}
        assert set(tags[name]) == expected
        mask = load_mask(prepared / f'SegmentationClass/{name}.png', num_classes=81)
        covered = {number: np.zeros(mask.shape, bool) for number in (*range(81), 255)}
        for entry in objects:
            number = IGNORE if entry['iscrowd'] else numbers[entry['category_id']]
            covered[number] |= api.annToMask(entry).astype(bool)
        # A pixel has the class of an object that covers it, or of none.
        painted = mask > 0
        cover = np.any([covered[n] for n in covered], axis=0)
        assert (painted != cover).mean() < 0.005
        for number in np.unique(mask[painted]):
            inside = mask == number
            assert (inside & ~covered[number]).sum() <= 0.05 * inside.sum() + 30


def test_crowds_are_ignored_unless_an_object_covers_them(theirs, prepared):
    crowds = [
        (api, entry)
        for api in theirs.values()
        for entry in api.anns.values()
        if entry['iscrowd']
    ]
    assert len(crowds) == 13
    for api, entry in crowds:
        name = os.path.splitext(api.imgs[entry['image_id']]['file_name'])[0]
        mask = load_mask(prepared / f'SegmentationClass/{name}.png', num_classes=81)
        alone = api.annToMask(entry).astype(bool)
        for other in api.imgToAnns[entry['image_id']]:
            if not other['iscrowd']:
                alone &= ~api.annToMask(other).astype(bool)
        assert (mask[alone] == IGNORE).mean() > 0.99
