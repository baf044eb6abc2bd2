import numpy as np
import pytest
from PIL import Image

from wsss_mm.datasets import SynthVOCDataset, VOCImageLabelDataset
from wsss_mm.datasets.health import check_dataset
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.io.mask_file import load_mask, save_mask

PREFIX = dict(img_path='JPEGImages', seg_map_path='SegmentationClass')


@pytest.fixture
def root(tmp_path):
    return write_synth_voc(tmp_path / 'data', train=3, val=1, size=64, processes=1)


def examine(root, kind=SynthVOCDataset, split='train', **options):
    dataset = kind(
        f'ImageSets/Segmentation/{split}.txt',
        data_root=str(root),
        **dict(dict(data_prefix=PREFIX), **options),
        pipeline=[],
        lazy_init=True,
    )
    return check_dataset(dataset, workers=1)


def test_a_sound_dataset_has_facts_alone(root):
    health = examine(root)
    assert health.problems == {}
    facts = '\n'.join(health.facts)
    assert '3 of 3 images' in facts
    assert '3 of them can be read and have a mask' in facts
    assert '5 images with tags' in facts  # trainaug has one more, val one


def test_all_problems_are_found_at_once(root):
    names = [f'synth_00000{i}' for i in range(3)]
    images, masks = root / 'JPEGImages', root / 'SegmentationClass'
    whole = (images / f'{names[0]}.jpg').read_bytes()
    (images / f'{names[0]}.jpg').write_bytes(whole[: len(whole) // 2])
    mask = load_mask(masks / f'{names[1]}.png')
    save_mask(masks / f'{names[1]}.png', mask[1:], [[0, 0, 0]])
    (masks / f'{names[2]}.png').unlink()
    save_mask(masks / 'other/alone.png', mask, [[0, 0, 0]])
    listed = root / 'ImageSets/Segmentation/train.txt'
    listed.write_text(listed.read_text() + 'gone\n')
    table = root / 'image_labels.csv'
    lines = table.read_text().splitlines()
    lines[2] += ' dragon'
    del lines[3]
    table.write_text('\n'.join([*lines, 'x,unicorn', 'x,']) + '\n')

    problems = examine(root).problems
    assert {kind: len(found) for kind, found in problems.items()} == dict(
        unreadable=1, sizes=1, masks=1, strays=1, images=1, tags=5
    )
    (text,) = problems['sizes']
    assert f'is {len(mask) - 1}x' in text
    assert f'image {len(mask)}x' in text
    assert 'alone.png' in problems['strays'][0]
    assert 'gone' in problems['images'][0]
    tags = '\n'.join(problems['tags'])
    for word in (f"{table}:3: 'dragon'", "'unicorn'", "'x' occurs twice", 'gone'):
        assert word in tags
    assert repr(names[2]) in tags


def test_classes_outside_the_list_are_found_in_masks(root):
    path = root / 'SegmentationClass/synth_000001.png'
    mask = load_mask(path)
    mask[0, 0] = 77
    save_mask(path, mask, [[0, 0, 0]])
    assert '[77]' in examine(root).problems['masks'][0]
    source = dict(tags='SegmentationClass', tag_source='masks')
    assert '[77]' in examine(root, **source).problems['tags'][0]


def test_tags_of_detection_files(root):
    assert examine(root, tags='Annotations', tag_source='xml').problems == {}
    (root / 'Annotations/synth_000002.xml').write_text('<annotation>')
    # SynthVOC's classes are not VOC's, so every file has a foreign name.
    health = examine(root, kind=VOCImageLabelDataset)
    assert len(health.problems['tags']) == 3
    assert any('no valid XML' in text for text in health.problems['tags'])


def test_masks_are_no_concern_where_none_are_configured(root):
    np.save(root / 'SegmentationClass/x.npy', np.zeros(1))
    for path in (root / 'SegmentationClass').iterdir():
        path.unlink()
    health = examine(root, data_prefix=dict(img_path='JPEGImages'))
    assert health.problems == {}
    assert 'all of them can be read' in health.facts


@pytest.mark.parametrize(
    'options, kind',
    [
        (dict(split='nope'), 'list'),
        (dict(data_prefix=dict(img_path='nowhere')), 'folder'),
        (dict(tags='no.csv'), 'tags'),
        (
            dict(metainfo=dict(classes=SynthVOCDataset.METAINFO['classes'][1:3])),
            'classes',
        ),
    ],
)
def test_nothing_to_read_is_a_problem_too(root, options, kind):
    assert list(examine(root, **options).problems) == [kind]


def test_an_image_with_two_files_is_a_problem(root):
    Image.new('RGB', (64, 64)).save(root / 'JPEGImages/synth_000000.png')
    assert 'may be any of' in examine(root).problems['images'][0]


def names_in(root):
    return (root / 'ImageSets/Segmentation/train.txt').read_text().split()


@pytest.mark.parametrize('text', ['', 'image_id,labels\n'])
def test_an_empty_table_is_a_problem(root, text):
    (root / 'image_labels.csv').write_text(text)
    assert 'tags' in examine(root).problems


def test_no_tag_at_all_is_a_problem(root):
    lines = [f'{name},' for name in names_in(root)]
    (root / 'image_labels.csv').write_text('\n'.join(['image_id,labels', *lines]))
    (text,) = examine(root).problems['tags']
    assert f'none of {len(lines)} images has a tag' in text
    for name in lines:
        path = root / 'Annotations' / f'{name[:-1]}.xml'
        path.write_text('<annotation></annotation>')
    found = examine(root, tags='Annotations', tag_source='xml').problems['tags']
    assert f'none of {len(lines)} images has a tag' in found[0]


def test_masks_of_0_and_255_are_a_problem(root):
    for path in (root / 'SegmentationClass').glob('*.png'):
        mask = load_mask(path)
        mask[mask > 0] = 255
        save_mask(path, mask, [[0, 0, 0]])
    (text,) = examine(root).problems['values']
    assert '255' in text


def test_masks_in_use_are_no_strays(root):
    """Images in a linked folder, ids with extensions, and lists of other splits."""
    images, masks = root / 'JPEGImages', root / 'SegmentationClass'
    name, other = names_in(root)[:2]
    elsewhere = root / 'elsewhere'
    elsewhere.mkdir()
    (images / f'{name}.jpg').rename(elsewhere / f'{name}.jpg')
    (images / 'linked').symlink_to(elsewhere)
    (elsewhere / 'loop').symlink_to(images)
    (masks / 'linked').mkdir()
    (masks / f'{name}.png').rename(masks / f'linked/{name}.png')
    table = root / 'image_labels.csv'
    table.write_text(table.read_text().replace(name, f'linked/{name}'))
    listed = root / 'ImageSets/Segmentation/train.txt'
    text = listed.read_text().replace(name, f'linked/{name}')
    listed.write_text(text.replace(other, f'{other}.jpg'))
    table.write_text(table.read_text().replace(other, f'{other}.jpg'))
    assert 'strays' not in examine(root).problems


def test_links_are_noticed(root):
    images = root / 'JPEGImages'
    first, second = names_in(root)[:2]
    (images / f'{second}.jpg').unlink()
    (images / f'{second}.jpg').symlink_to(images / f'{first}.jpg')
    health = examine(root)
    assert any('1 of the images are symbolic links' in fact for fact in health.facts)
    assert 'are one file' in health.problems['links'][0]
    mask = root / f'SegmentationClass/{first}.png'
    mask.unlink()
    mask.symlink_to('gone.png')
    assert 'a link to a file that is not there' in examine(root).problems['masks'][0]
