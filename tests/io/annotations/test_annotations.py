"""What is written is read back, to the pixel; and what a person changes shows."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from wsss_mm.io.annotations import (
    COCOWriter,
    CVATWriter,
    read_coco_masks,
    read_cvat_masks,
    read_labelme_masks,
    write_labelme,
)
from wsss_mm.utils.errors import InputError

NAMES = ('background', 'cat', 'fire truck', 'dog')


def mask(seed, size=(23, 31)):
    """Blocks of all classes with holes, specks, and pixels to ignore."""
    rng = np.random.default_rng(seed)
    found = np.kron(rng.integers(0, 4, (5, 7)), np.ones((5, 5), int))
    found = found[: size[0], : size[1]].astype(np.uint8)
    found[6:9, 6:9] = 0
    found[7, 7] = 255
    return found


MASKS = {
    'a.jpg': mask(0),
    'deep down/b c.png': mask(1),
    'empty.jpg': np.zeros((4, 6), np.uint8),
}


def write_coco(path, polygons):
    writer = COCOWriter(NAMES, polygons=polygons)
    for name, one in MASKS.items():
        writer.add(name, one)
    writer.save(path)
    return path


@pytest.fixture(params=['coco', 'coco-polygons', 'labelme', 'cvat'])
def written(request, tmp_path):
    """A file or folder of annotations, and what reads it."""
    if request.param.startswith('coco'):
        path = write_coco(tmp_path / 'c.json', request.param == 'coco-polygons')
        return path, read_coco_masks
    if request.param == 'cvat':
        writer = CVATWriter(NAMES)
        for name, one in MASKS.items():
            writer.add(name, one)
        writer.save(tmp_path / 'c.xml')
        return tmp_path / 'c.xml', read_cvat_masks
    for name, one in MASKS.items():
        path = (tmp_path / 'l' / name).with_suffix('.json')
        image = tmp_path / 'images' / name
        write_labelme(path, one, image=image, class_names=NAMES)
    return tmp_path / 'l', read_labelme_masks


def test_masks_come_back_to_the_pixel(written):
    path, read = written
    found = {one.name: one.mask for one in read(path, NAMES)}
    assert set(found) == {'a', 'deep down/b c', 'empty'}
    for name, expected in MASKS.items():
        got = found[name.rpartition('.')[0]]
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, expected)


def test_another_class_list_is_refused(written):
    path, read = written
    names = ('background', 'cat', 'fire trucks', 'dog')
    with pytest.raises(
        InputError, match="'fire truck' is not a class; did you mean 'fir"
    ):
        list(read(path, names))


def test_a_corrected_labelme_file(tmp_path):
    path = tmp_path / 'a.json'
    image = tmp_path.parent / 'a.jpg'
    write_labelme(path, MASKS['a.jpg'], image=image, class_names=NAMES)
    content = json.loads(path.read_text())
    assert content['imagePath'] == '../a.jpg'
    content['shapes'] += [
        dict(label='dog', points=[[0.4, 0.4], [3.4, 2.6]], shape_type='rectangle'),
        dict(label='cat', points=[[20.2, 15], [25.1, 15], [22, 19.7]], flags={}),
        dict(label='_background_', points=[[5, 5], [5, 6]], shape_type='circle'),
    ]
    path.write_text(json.dumps(content))
    (found,) = read_labelme_masks(tmp_path, NAMES)
    expected = MASKS['a.jpg'].copy()
    y, x = np.mgrid[:23, :31] + 0.5
    expected[(x >= 0.4) & (x < 3.4) & (y >= 0.4) & (y < 2.6)] = 3
    triangle = (y >= 15) & (y - 15 < 4.7 / 1.8 * (x - 20.2))
    triangle &= y - 15 < 4.7 / 3.1 * (25.1 - x)
    expected[triangle] = 1
    expected[4:6, 4:6] = 0
    np.testing.assert_array_equal(found.mask, expected)


def test_what_cvat_exports(tmp_path):
    text = """<annotations><image id="0" name="x/a.jpg" width="6" height="4">
    <box label="dog" xtl="0" ytl="0" xbr="6" ybr="2" z_order="3"/>
    <mask label="cat" left="1" top="1" width="3" height="2" rle="1, 2, 3" z_order="4"/>
    <polygon label="fire truck" points="0,0;6,0;6,4;0,4" z_order="-1"/>
    <tag label="anything"/></image></annotations>"""
    (tmp_path / 'c.xml').write_text(text)
    (found,) = read_cvat_masks(tmp_path / 'c.xml', NAMES)
    assert found.name == 'x/a'
    assert found.mask.tolist() == [
        [3, 3, 3, 3, 3, 3],
        [3, 3, 1, 1, 3, 3],
        [2, 2, 2, 2, 2, 2],
        [2, 2, 2, 2, 2, 2],
    ]


def test_coco_of_another_program(tmp_path):
    path = write_coco(tmp_path / 'c.json', polygons=True)
    content = json.loads(path.read_text())
    assert content['categories'][1] == dict(id=2, name='fire truck', supercategory='')
    inside = MASKS['a.jpg'] == 1
    (first, *_) = content['annotations']
    assert first['category_id'] == 1
    assert first['area'] == inside.sum()
    left, top, width, height = first['bbox']
    rows, columns = np.nonzero(inside)
    assert (left, top) == (columns.min(), rows.min())
    assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
    # A small object on a large one, and a crowd.
    square = [[0, 0, 6, 0, 6, 4, 0, 4]]
    content['annotations'] = [
        dict(image_id=3, category_id=3, segmentation=[[0, 0, 1, 0, 1, 1, 0, 1]]),
        dict(image_id=3, category_id=1, segmentation=square),
        dict(
            image_id=3,
            category_id=1,
            segmentation=dict(size=[4, 6], counts=[23, 1]),
            iscrowd=1,
        ),
    ]
    path.write_text(json.dumps(content))
    last = list(read_coco_masks(path, NAMES))[-1].mask
    assert last[0].tolist() == [3, 1, 1, 1, 1, 1]
    assert last[3].tolist() == [1, 1, 1, 1, 1, 255]


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda c: c['annotations'][0].pop('segmentation'), "fails at 'segmentation'"),
        (
            lambda c: c['images'][0].update(height=10**9),
            'no image is 10000000',
        ),
        (
            lambda c: c['images'][0].update(file_name='../a.jpg'),
            'leads out of a folder',
        ),
        (
            lambda c: c['annotations'][0].update(segmentation=[[0, 1, 2]]),
            'an outline that cannot be drawn',
        ),
        (
            lambda c: c['annotations'][0]['segmentation'].update(counts=[1]),
            'an outline that cannot be drawn: the run lengths have 1 pixels',
        ),
    ],
)
def test_bad_coco_is_refused(tmp_path, change, message):
    path = write_coco(tmp_path / 'c.json', polygons=False)
    edit_json(path, change)
    with pytest.raises(InputError, match=message):
        list(read_coco_masks(path, NAMES))


@pytest.mark.parametrize(
    'shape, message',
    [
        (dict(label='cow', points=[]), "the label 'cow' is not a class"),
        (dict(label='cat', points=[[1, 2], [3, 4]]), 'three or more corners'),
        (dict(label='cat', points=[], shape_type='line'), "kind 'line' has no inside"),
        (dict(label='cat'), "fails at 'points'"),
    ],
)
def test_bad_labelme_is_refused(tmp_path, shape, message):
    path = tmp_path / 'a.json'
    write_labelme(path, MASKS['a.jpg'], image='a.jpg', class_names=NAMES)
    edit_json(path, lambda content: content['shapes'].append(shape))
    with pytest.raises(InputError, match=message):
        list(read_labelme_masks(tmp_path, NAMES))


@pytest.mark.parametrize(
    'shape, message',
    [
        ('<polygon label="cow" points="0,0;1,0;1,1"/>', "'cow' is not a class"),
        ('<polygon label="cat" points="0,0;x,0"/>', 'a polygon that cannot be drawn'),
        ('<polyline label="cat" points="0,0;1,0"/>', "kind 'polyline' has no inside"),
        (
            '<mask label="cat" left="5" top="0" width="2" height="1" rle="1,1"/>',
            'a mask that cannot be drawn .it leaves the image',
        ),
        (
            '<mask label="cat" left="0" top="0" width="2" height="1" rle="9"/>',
            '9 pixels in a box of 2',
        ),
    ],
)
def test_bad_cvat_is_refused(tmp_path, shape, message):
    root = ElementTree.fromstring(f'<annotations><image>{shape}</image></annotations>')
    root[0].attrib.update(name='a.jpg', width='6', height='4')
    path = tmp_path / 'c.xml'
    ElementTree.ElementTree(root).write(path)
    with pytest.raises(InputError, match=message):
        list(read_cvat_masks(path, NAMES))


def test_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(InputError, match='no labelme file'):
        list(read_labelme_masks(tmp_path, NAMES))
    for read, name in ((read_coco_masks, 'a.json'), (read_cvat_masks, 'a.xml')):
        with pytest.raises(InputError, match='give the exported'):
            list(read(tmp_path / name, NAMES))
