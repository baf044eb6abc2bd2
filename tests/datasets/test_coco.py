import json
import re

import numpy as np
import pytest

from wsss_mm.datasets.coco import (
    CLASSES,
    AnnotatedImage,
    COCOImageLabelDataset,
    draw_instances,
    read_instances,
)

FOREGROUND = ('cat', 'dog', 'hot dog')
SIZE = (8, 10)


def box(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def crowd(mask):
    """Uncompressed run lengths, counted down the columns."""
    flat = [0, *mask.T.ravel().tolist(), 2]
    changes = [i - 1 for i in range(1, len(flat)) if flat[i] != flat[i - 1]]
    runs = np.diff([0, *changes]).tolist()
    return dict(counts=runs, size=list(mask.shape))


def image(*objects):
    """Make an image of (name, segmentation, iscrowd)."""
    return AnnotatedImage(
        name='a.jpg',
        size=SIZE,
        objects=tuple(
            dict(id=i, segmentation=outline, iscrowd=many)
            for i, (_, outline, many) in enumerate(objects)
        ),
        names=tuple(name for name, _, _ in objects),
    )


def test_smaller_objects_are_on_top_whatever_the_order():
    large = ('dog', box(1, 1, 9, 7), 0)
    small = ('cat', box(2, 2, 5, 4), 0)
    expected = np.zeros(SIZE, np.uint8)
    expected[1:7, 1:9] = 2
    expected[2:4, 2:5] = 1
    for objects in ((large, small), (small, large)):
        mask = draw_instances(image(*objects), FOREGROUND)
        assert np.array_equal(mask, expected)
        assert mask.dtype == np.uint8


def test_crowds_are_ignored_and_below_every_object():
    many = np.zeros(SIZE, np.uint8)
    many[3:6, :4] = 1
    objects = [('dog', box(0, 0, 10, 4), 0), ('cat', crowd(many), 1)]
    expected = np.zeros(SIZE, np.uint8)
    expected[3:6, :4] = 255
    expected[:4] = 2
    for listed in (objects, objects[::-1]):
        assert np.array_equal(draw_instances(image(*listed), FOREGROUND), expected)


def test_polygons_of_one_object_add_up():
    """A second polygon over the first one cuts no hole."""
    outline = box(0, 0, 5, 5) + box(2, 2, 8, 8)
    mask = draw_instances(image(('hot dog', outline, 0)), FOREGROUND)
    expected = np.zeros(SIZE, np.uint8)
    expected[:5, :5] = expected[2:8, 2:8] = 3
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    'outline, match',
    [
        ([[1, 2, 3]], 'odd count'),
        ([[1, 2, 3, 4]], 'three or more corners'),
        ([['a', 2, 3, 4, 5, 6]], 'could not convert'),
        (dict(counts=[80], size=[10, 8]), r'the image is \[8, 10\]'),
        (dict(counts=[70], size=[8, 10]), 'have 70 pixels'),
        (dict(size=[8, 10]), 'counts'),
        (None, 'iterable'),
    ],
)
def test_an_outline_that_cannot_be_drawn(outline, match):
    with pytest.raises(ValueError, match=rf'a\.jpg: annotation 0 .*{match}'):
        draw_instances(image(('cat', outline, 0)), FOREGROUND)


def content():
    return dict(
        categories=[dict(id=17, name='cat'), dict(id=58, name='hot dog')],
        images=[
            dict(id=9, file_name='b.jpg', height=8, width=10),
            dict(id=4, file_name='empty.jpg', height=8, width=10),
            dict(id=7, file_name='a.jpg', height=5, width=6),
        ],
        annotations=[
            dict(id=1, image_id=9, category_id=58, segmentation=box(0, 0, 2, 2)),
            dict(id=2, image_id=7, category_id=17, segmentation=box(0, 0, 2, 2)),
            dict(id=3, image_id=9, category_id=17, segmentation=box(0, 0, 1, 1)),
        ],
    )


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_images_without_objects_are_left_out(tmp_path):
    first, second = read_instances(write(tmp_path / 'i.json', content()), FOREGROUND)
    assert (first.name, first.size, first.names) == ('a.jpg', (5, 6), ('cat',))
    assert (second.name, second.size) == ('b.jpg', (8, 10))
    assert second.names == ('hot dog', 'cat')
    assert [entry['id'] for entry in second.objects] == [1, 3]


@pytest.mark.parametrize(
    'change, match',
    [
        (
            lambda c: c.pop('categories'),
            'not a file of instance.*categories',
        ),
        (lambda c: c['images'].pop(), 'not a file of instance annotations.*fails at 7'),
        (lambda c: c['categories'][0].update(name='cta'), "'cta' is none of the 3"),
        (lambda c: c['images'][0].pop('height'), 'not a file of instance.*height'),
        (lambda c: c['images'][0].update(height=None), r'the size \(None, 10\)'),
        (lambda c: c['images'][0].update(height='8'), r"the size \('8', 10\)"),
        (lambda c: c['images'][0].update(height=0), r'the size \(0, 10\)'),
        (lambda c: c['images'][0].update(height=1 << 16), r'the size \(65536, 10\)'),
        (lambda c: c['images'][0].update(height=60000, width=60000), 'the size'),
        (lambda c: c.update(annotations=['a']), 'not a file of instance annotations'),
    ],
)
def test_malformed_annotations(tmp_path, change, match):
    value = content()
    change(value)
    path = write(tmp_path / 'i.json', value)
    with pytest.raises(ValueError, match=rf'{re.escape(str(path))}.*{match}'):
        read_instances(path, FOREGROUND)


@pytest.mark.parametrize(
    'text, match',
    [
        ('{"images": [', 'cut off'),
        ('[' * 100_000, r'cannot read .*i\.json'),
        ('[1]', 'no JSON object'),
        (None, 'unpack'),
    ],
)
def test_no_annotations(tmp_path, text, match):
    path = tmp_path / 'i.json'
    if text is not None:
        write(path, text)
    with pytest.raises(ValueError, match=match):
        read_instances(path, FOREGROUND)


def test_the_class_list():
    assert len(CLASSES) == len(set(CLASSES)) == 81
    # Places that a slip would shift: COCO's numbers skip 12, 26, 29, 30, ...
    assert [CLASSES[i] for i in (1, 12, 40, 57, 80)] == [
        *('person', 'stop sign', 'bottle', 'chair', 'toothbrush')
    ]
    palette = COCOImageLabelDataset.METAINFO['palette']
    assert len({tuple(colour) for colour in palette}) == 81


@pytest.mark.parametrize(
    'names, match',
    [
        (['../a.jpg'], r"instances\.json: the image id '\.\./a\.jpg' leads out"),
        (['/a.jpg'], 'is an absolute path'),
        (['a.jpg', './a.jpg'], r"two images have the name 'a\.jpg'"),
        (['a.jpg', 'a.png'], 'differ in the extension only'),
    ],
)
def test_names_that_lead_out_or_meet_are_refused(tmp_path, names, match):
    content = dict(
        categories=[dict(id=1, name='cat')],
        images=[
            dict(id=i, file_name=name, height=2, width=2)
            for i, name in enumerate(names)
        ],
        annotations=[dict(image_id=i, category_id=1) for i in range(len(names))],
    )
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=match):
        read_instances(path, FOREGROUND)
