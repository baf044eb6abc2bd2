"""Every kind of tag file says the same of the same four photographs."""

import json

import pytest

from wsss_mm.datasets.tag_formats import (
    Row,
    TagTable,
    list_photos,
    match_photos,
    read_tag_table,
)
from wsss_mm.utils.errors import InputError

PHOTOS = ('monday/IMG 1.JPG', 'monday/b.png', 'tuesday/IMG 1.jpg', 'tuesday/d.jpg')
# d shows nothing; the classes are in the order that each file declares or sorts.
TAGS = {
    'monday/IMG 1.JPG': {'cat'},
    'monday/b.png': {'cat', 'fire truck'},
    'tuesday/IMG 1.jpg': {'fire truck'},
    'tuesday/d.jpg': set(),
}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    for name in PHOTOS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    return path


def matched(path, photos):
    return match_photos(read_tag_table(path), list_photos(photos))


def check(path, photos, expected=None):
    found = matched(path, photos)
    assert {name: set(tags) for name, tags in found.tags.items()} == (expected or TAGS)
    return found


CSV = {
    'own': (
        'image_id,labels\n'
        'monday/IMG 1,cat\n'
        'monday/b,"[""cat"", ""fire truck""]"\n'
        'tuesday/IMG 1,"[""fire truck""]"\n'
        'tuesday/d,\n'
    ),
    'of a spreadsheet: mark, semicolons, carriage returns, spaces': (
        '\ufeffFile Name ; Labels;;\r\n'
        ' monday\\IMG 1.jpg ; cat ;;\r\n'
        '\r\n'
        'monday/b.png;cat|fire truck\r\n'
        'tuesday/IMG 1.jpg;"fire truck,"\r\n'
        'tuesday/d.jpg\r\n'
    ),
    'a line for each pair': (
        'photo\tclass\n'
        'monday/IMG 1.JPG\tcat\nb.png\tcat\nb.png\t["fire truck"]\n'
        'tuesday/IMG 1.jpg\t["fire truck"]\nd\t\n'
    ),
    'zeros and ones': (
        'filename, cat, fire truck, dog\n'
        'monday/IMG 1.JPG, 1, 0, 0\n'
        'monday/b.png, 1.0, TRUE, 0\n'
        'tuesday/IMG 1.jpg,, x,\n'
        'tuesday/d.jpg, no, 0\n'
    ),
}


@pytest.mark.parametrize('text', CSV.values(), ids=CSV)
def test_tables(photos, tmp_path, text):
    check(write(tmp_path / 'tags.csv', text), photos)


def test_one_column_a_class_keeps_its_order_and_drops_what_is_not_used(
    photos, tmp_path
):
    path = write(tmp_path / 't.csv', 'image,zebra,ant,cow\nb.png,1,1,0\n')
    assert matched(path, photos).tags == {'monday/b.png': ('zebra', 'ant')}


@pytest.mark.parametrize(
    'text, message',
    [
        ('a.jpg\n', r'tags.csv:1: .* has one column; write a first line'),
        ('a.jpg,cat\nb.jpg,dog\n', 'tags.csv:1: no column of .* is the image'),
        ('image,cat\na,2\n', r"tags.csv:2: '2' in the column 'cat'; .* 1 or 0"),
        ('image,labels\na,b,c\n', 'tags.csv:2: 3 cells, but the first line has 2'),
        ('image,labels\n,b\n', 'tags.csv:2: names no image'),
        ('image,labels\n', 'names no image; write one line for each'),
        (b'image,labels\n\xff,b\n', 'tags.csv:2: not UTF-8'),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_tag_table(write(tmp_path / 'tags.csv', text))


def test_json_of_this_project(photos, tmp_path):
    content = {name: sorted(tags) for name, tags in TAGS.items()}
    check(write(tmp_path / 'tags.json', content), photos)


def coco(prefix=''):
    """COCO, with the category that Roboflow adds for the project."""
    classes = {1: 'cat', 2: 'fire truck'}
    images = [dict(id=i, file_name=f'{prefix}{name}') for i, name in enumerate(TAGS)]
    pairs = [(i, key) for i, tags in enumerate(TAGS.values()) for key in classes]
    return dict(
        images=images,
        categories=[dict(id=0, name='my-project', supercategory='none')]
        + [dict(id=key, name=name, supercategory='x') for key, name in classes.items()],
        annotations=[
            dict(id=number, image_id=i, category_id=key, bbox=[0, 0, 1, 1])
            for number, (i, key) in enumerate(pairs)
            if classes[key] in list(TAGS.values())[i]
        ],
    )


@pytest.mark.parametrize('prefix', ['', 'https_export/photos/'])
def test_coco(photos, tmp_path, prefix):
    found = check(write(tmp_path / '_annotations.coco.json', coco(prefix)), photos)
    assert found.tags['monday/b.png'] == ('cat', 'fire truck')


def test_a_file_of_all_images_beside_them_is_found(photos):
    write(photos / '_annotations.coco.json', coco())
    check(photos, photos)


def test_coco_of_other_annotations_is_refused(tmp_path):
    content = coco()
    del content['annotations'][0]['category_id']
    path = write(tmp_path / 'captions.json', content)
    with pytest.raises(InputError, match=r'fails at .category_id.\); export the'):
        read_tag_table(path)
    del content['categories']
    with pytest.raises(InputError, match='COCO without categories'):
        read_tag_table(write(path, content))


@pytest.mark.parametrize('beside', [True, False], ids=['beside', 'elsewhere'])
def test_labelme(photos, tmp_path, beside):
    folder = photos if beside else tmp_path / 'labels'
    for name, tags in TAGS.items():
        flags = dict(cat='cat' in tags, dog=False)
        labels = [*(tags - {'cat'}), '_background_']
        shapes = [dict(label=tag, points=[[0, 0], [1, 0], [1, 1]]) for tag in labels]
        file = (folder / name).with_suffix('.json')
        # As Windows writes it, when the labels lie elsewhere.
        image = f'..\\photos\\{name.split("/")[1]}'
        write(file, dict(version='5', flags=flags, shapes=shapes, imagePath=image))
    check(folder, photos)


def voc_xml(name, tags):
    objects = ''.join(
        f'<object><name> {tag} </name><part><name>head</name></part></object>'
        for tag in sorted(tags)
    )
    return f'<annotation><filename>{name}</filename>{objects}</annotation>'


def test_voc_xml(photos, tmp_path):
    for name, tags in TAGS.items():
        file = (tmp_path / 'xml' / name).with_suffix('.xml')
        write(file, voc_xml(name.split('/')[1], tags))
    check(tmp_path / 'xml', photos)


def test_voc_xml_whose_names_are_inside(photos, tmp_path):
    names = ('monday/b.png', 'tuesday/d.jpg')
    for number, name in enumerate(names):
        write(tmp_path / f'xml/{number}.xml', voc_xml(name[-5:], TAGS[name]))
    check(tmp_path / 'xml', photos, {name: TAGS[name] for name in names})


def test_cvat(photos, tmp_path):
    kinds = ('box', 'polygon', 'tag', 'mask')
    images = ''.join(
        f'<image id="{i}" name="{name}" width="4" height="4">'
        + ''.join(f'<{kinds[i]} label="{tag}"/>' for tag in sorted(tags))
        + '</image>'
        for i, (name, tags) in enumerate(TAGS.items())
    )
    labels = '<label><name>fire truck</name></label><label><name>cat</name></label>'
    head = f'<meta><task><labels>{labels}</labels></task></meta>'
    text = f'<?xml version="1.0"?><annotations>{head}{images}</annotations>'
    found = check(write(tmp_path / 'annotations.xml', text), photos)
    assert found.tags['monday/b.png'] == ('fire truck', 'cat')


@pytest.mark.parametrize(
    'text, message',
    [
        ('<annotations></annotations>', 'names no image; export CVAT for images'),
        ('<svg></svg>', "outermost element is 'svg'; give CVAT"),
        ('<annotations>', 'no valid XML'),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', 'a document type'),
    ],
)
def test_xml_that_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_tag_table(write(tmp_path / 'a.xml', text))


@pytest.mark.parametrize('split', ['', 'train/'])
def test_one_folder_a_class(tmp_path, split):
    for name in ('cat/a.jpg', 'fire truck/deep/b.jpg', 'fire truck/c.png'):
        write(tmp_path / 'photos' / split / name, b'')
    loose = [] if split else ['loose.jpg']
    for name in loose:
        write(tmp_path / 'photos' / name, b'')
    found = matched(tmp_path / 'photos', tmp_path / 'photos')
    assert found.tags == {
        f'{split}cat/a.jpg': ('cat',),
        f'{split}fire truck/deep/b.jpg': ('fire truck',),
        f'{split}fire truck/c.png': ('fire truck',),
    }
    assert list(found.without_line) == loose


def test_pascal_lists(photos, tmp_path):
    flags = {True: ' 1', False: '-1'}
    for name in ('cat', 'fire truck'):
        lines = [f'{photo[:-4]} {flags[name in tags]}' for photo, tags in TAGS.items()]
        write(tmp_path / f'lists/{name}_train.txt', '\r\n'.join(lines))
    write(tmp_path / 'lists/cat_val.txt', 'tuesday/d  0\n')
    write(tmp_path / 'lists/train.txt', 'monday/b\n')
    check(tmp_path / 'lists/cat_train.txt', photos)
    check(tmp_path / 'lists', photos, {**TAGS, 'tuesday/d.jpg': {'cat'}})
    write(tmp_path / 'lists/cat_val.txt', 'tuesday/d  7\n')
    with pytest.raises(InputError, match=r'cat_val.txt:1: .* 1, -1 or 0'):
        read_tag_table(tmp_path / 'lists')


def test_photographs_and_lines_that_have_no_partner_are_listed(photos, tmp_path):
    text = 'image,labels\nb.png,cat\nwednesday/d.jpg,cat\nIMG 1,cat\n'
    found = matched(write(tmp_path / 't.csv', text), photos)
    assert list(found.tags) == ['monday/b.png']
    assert found.without_line == (PHOTOS[0], PHOTOS[2], PHOTOS[3])
    strange, several = found.without_image
    assert strange == f'{tmp_path}/t.csv:3: wednesday/d.jpg'
    assert several.startswith(f'{tmp_path}/t.csv:4: IMG 1 (any of')


def table(*names, classes=()):
    rows = tuple(Row((one,), (tag,), f'line {i}') for i, (one, tag) in enumerate(names))
    return TagTable('test', rows, classes)


@pytest.mark.parametrize(
    'name, photo',
    [
        ('b', 'monday/b.png'),
        ('B.PNG', 'monday/b.png'),
        ('b.jpg', 'monday/b.png'),
        ('C:/Users/me/photos/monday/b.png', 'monday/b.png'),
        ('monday/IMG 1', 'monday/IMG 1.JPG'),
        ('tuesday/b.png', None),
        ('x/b.png', None),
        ('IMG 1', None),
        ('ay/b.png', None),
    ],
)
def test_names_of_a_photograph(name, photo):
    found = match_photos(table((name, 'cat'), ('tuesday/d', 'cat')), PHOTOS)
    assert set(found.tags) == {photo, 'tuesday/d.jpg'} - {None}


def test_a_table_of_other_photographs_is_refused():
    with pytest.raises(InputError, match='no line of the tags names a photograph'):
        match_photos(table(('x', 'cat')), PHOTOS)


def test_classes_that_differ_in_case_alone_are_refused():
    with pytest.raises(InputError, match="'Cat' and 'cat'; write the class in one way"):
        match_photos(table(('b', 'cat'), ('d', 'Cat')), PHOTOS)


@pytest.mark.parametrize(
    'name, message',
    [
        ('tags.xlsx', 'not a kind of tags that is known: give a CSV or JSON table'),
        ('tag.csv', r'no tags .*tag.csv: give .*; .* holds tags.xlsx'),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, message):
    write(tmp_path / 'tags.xlsx', 'x')
    with pytest.raises(InputError, match=message):
        read_tag_table(tmp_path / name)


def test_a_folder_of_photographs_without_tags_is_refused(tmp_path):
    write(tmp_path / 'photos/a.jpg', b'')
    with pytest.raises(InputError, match='no photograph lies in a folder named after'):
        read_tag_table(tmp_path / 'photos')
    write(tmp_path / 'photos/a.json', {'a': 1})
    with pytest.raises(InputError, match=r'such as a.json, are not labelme'):
        read_tag_table(tmp_path / 'photos')
