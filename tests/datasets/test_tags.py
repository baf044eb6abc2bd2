import json

import numpy as np
import pytest

from wsss_mm.datasets.tags import (
    encode_tags,
    read_tag_file,
    select_tags,
    tags_from_masks,
    tags_from_xml,
    write_tag_file,
)
from wsss_mm.io.mask_file import save_mask

CLASSES = ('cat', 'dog', 'dining table')


def write(path, text):
    path.write_text(text, encoding='utf-8')
    return path


def test_csv(tmp_path):
    path = write(
        tmp_path / 't.csv',
        'image_id,labels\n'
        'a/b c.v2,dog cat\n'
        '\n'
        'empty,\n'
        '"comma, here",cat cat\n'
        'table,"[""dining table"", ""dog""]"\n',
    )
    assert read_tag_file(path, CLASSES) == {
        'a/b c.v2': ('cat', 'dog'),
        'empty': (),
        'comma, here': ('cat',),
        'table': ('dog', 'dining table'),
    }


def test_csv_of_a_spreadsheet_has_a_mark_and_carriage_returns(tmp_path):
    (tmp_path / 't.csv').write_bytes(b'\xef\xbb\xbfimage_id,labels\r\na,cat\r\n')
    assert read_tag_file(tmp_path / 't.csv', CLASSES) == {'a': ('cat',)}


@pytest.mark.parametrize(
    'value',
    [
        {'a': ['dining table', 'cat'], 'b': []},
        [
            {'image_id': 'a', 'labels': ['dining table', 'cat']},
            {'labels': [], 'image_id': 'b'},
        ],
    ],
)
def test_json(tmp_path, value):
    path = write(tmp_path / 't.json', json.dumps(value))
    assert read_tag_file(path, CLASSES) == {'a': ('cat', 'dining table'), 'b': ()}


def test_voc_mini_tags_are_read(shared):
    from wsss_mm.datasets import VOCImageLabelDataset

    classes = VOCImageLabelDataset.METAINFO['classes'][1:]
    tags = read_tag_file(shared / 'data/voc_mini/image_labels.csv', classes)
    assert tags['2007_000032'] == ('aeroplane', 'person')


@pytest.mark.parametrize(
    'text, match',
    [
        ('', r't\.csv:1: the header .*make the first line'),
        ('a,cat\n', r't\.csv:1: the header'),
        ('image_id,labels\n', r't\.csv names no image'),
        ('image_id,labels\na\n', r"t\.csv:2: 'a' is not `image_id,labels`"),
        ('image_id,labels\na,cat,dog\n', r't\.csv:2: .*separate labels by spaces'),
        ('image_id,labels\n,cat\n', r't\.csv:2: '),
        ('image_id,labels\na,cat\nb,dog\na,dog\n', r"t\.csv:4: image 'a' occurs twice"),
        ('image_id,labels\na,cta\n', r"t\.csv:2: the tag 'cta' .*did you mean 'cat'"),
        ('image_id,labels\na,zebra\n', r"the tag 'zebra' is not.*add it to the class"),
        ('image_id,labels\na,"cat\n', r't\.csv:2: .*close the quotes'),
        ('image_id,labels\na,"[""cat"""\n', r't\.csv:2: .*not a JSON list'),
        ('image_id,labels\na,[1]\n', r't\.csv:2: the label 1 must be a class name'),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path, text, match):
    with pytest.raises(ValueError, match=match):
        read_tag_file(write(tmp_path / 't.csv', text), CLASSES)


@pytest.mark.parametrize(
    'text, match',
    [
        ('{"a": ["cat"],\n "b": [}', r't\.json:2: no valid JSON'),
        ('[' * 100_000, r't\.json:1: lists in too many lists'),
        ('{"a": ["cat"], "a": ["dog"]}', r"t\.json: image 'a' occurs twice"),
        ('{"a": "cat"}', r"image 'a': the labels 'cat' must be a list"),
        ('{"a": {}}', r"image 'a': the labels .* must be a list"),
        ('{"a": ["cow"]}', r"t\.json: the tag 'cow' is not in the class list"),
        ('{}', r't\.json names no image'),
        ('3', r't\.json holds a int'),
        ('[["a"]]', r't\.json\[0\] is not .*give both keys'),
        ('[{"image_id": "a"}]', r't\.json\[0\] is not .*give both keys'),
        ('[{"image_id": 3, "labels": []}]', r't\.json\[0\]: image_id 3 must be'),
    ],
)
def test_a_bad_json_is_refused_with_its_place(tmp_path, text, match):
    with pytest.raises(ValueError, match=match):
        read_tag_file(write(tmp_path / 't.json', text), CLASSES)


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r'no tag file .*t\.csv; write one line'):
        read_tag_file(tmp_path / 't.csv', CLASSES)
    with pytest.raises(ValueError, match=r'must end in \.csv or \.json'):
        read_tag_file(tmp_path / 't.npy', CLASSES)
    (tmp_path / 't.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='save it as UTF-8'):
        read_tag_file(tmp_path / 't.csv', CLASSES)


def test_ignored_names_are_left_out(tmp_path):
    path = write(tmp_path / 't.csv', 'image_id,labels\na,cat dog\n')
    assert read_tag_file(path, ('dog',), ignored=('cat',)) == {'a': ('dog',)}


XML = """<annotation>
<object><name>dog</name><difficult>1</difficult>
<part><name>head</name></part></object>
<object><name>cat</name><difficult>0</difficult></object>
<object><name>dog</name></object>
</annotation>"""


def test_xml_counts_difficult_objects_but_no_parts(tmp_path):
    write(tmp_path / 'a.xml', XML)
    write(tmp_path / 'b.xml', '<annotation/>')
    tags = tags_from_xml(tmp_path, ['b', 'a'], CLASSES)
    assert tags == {'b': (), 'a': ('cat', 'dog')}


def test_bad_xml_is_refused(tmp_path):
    write(tmp_path / 'a.xml', XML[:50])
    match = r'a\.xml:\d: no valid XML.*get the file again'
    with pytest.raises(ValueError, match=match):
        tags_from_xml(tmp_path, ['a'], CLASSES)
    with pytest.raises(ValueError, match=r"image 'b' has no annotation .*b\.xml; add"):
        tags_from_xml(tmp_path, ['b'], CLASSES)
    write(tmp_path / 'a.xml', XML)
    with pytest.raises(ValueError, match=r"a\.xml: the tag 'dog'"):
        tags_from_xml(tmp_path, ['a'], ('cat',))


def test_masks(tmp_path):
    mask = np.array([[0, 255, 3], [1, 1, 0]], np.uint8)
    save_mask(tmp_path / 'a.png', mask, [[0, 0, 0]])
    assert tags_from_masks({'a': tmp_path / 'a.png'}, CLASSES) == {
        'a': ('cat', 'dining table')
    }
    with pytest.raises(ValueError, match=r'a\.png holds the values \[3\]'):
        tags_from_masks({'a': tmp_path / 'a.png'}, CLASSES[:2])


def test_selecting_keeps_the_order_and_names_what_is_missing():
    tags = {'img_1': ('cat',), 'img_2': ()}
    assert list(select_tags(tags, ['img_2', 'img_1'], source='t.csv')) == [
        'img_2',
        'img_1',
    ]
    match = r"t\.csv has no tags for 2 image.*'img_3' \(there is 'img_.'\).*empty if it"
    with pytest.raises(ValueError, match=match):
        select_tags(tags, ['img_1', 'img_3', 'x'], source='t.csv')


def test_encoding():
    code = encode_tags(('dining table', 'cat'), CLASSES)
    assert code.dtype == np.float32
    assert code.tolist() == [1, 0, 1]


def test_written_tags_are_read_again(tmp_path):
    tags = {
        'a/b, c': ('cat', 'dining table'),
        'quote "x"': ('dog',),
        'ü': (),
        'plain': ('cat', 'dog'),
    }
    write_tag_file(tmp_path / 't.csv', tags)
    assert read_tag_file(tmp_path / 't.csv', CLASSES) == tags
    text = (tmp_path / 't.csv').read_text(encoding='utf-8')
    assert text.startswith('image_id,labels\n')
    assert text.endswith('\nplain,cat dog\n')
