import csv
import json
import runpy
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from wsss_mm.datasets import synth_drawing, synth_voc
from wsss_mm.datasets.synth_voc import CLASSES, draw_image, write_synth_voc

SMALL = dict(train=3, val=2, seed=5, size=64)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_synth_voc(tmp_path_factory.mktemp('synth') / 'data', **SMALL)


@pytest.fixture(scope='module')
def drawn():
    return [draw_image(0, index, size=96) for index in range(40)]


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    again = write_synth_voc(tmp_path / 'again', **SMALL)
    assert files(again) == files(folder)


@pytest.mark.parametrize('processes', [1, 3])
def test_the_bytes_do_not_depend_on_the_processes(folder, tmp_path, processes):
    again = write_synth_voc(tmp_path / 'again', **SMALL, processes=processes)
    assert files(again) == files(folder)


def test_an_error_leaves_nothing(tmp_path, monkeypatch):
    def fail(seed, index, *, size):
        raise OSError(28, f'no space for image {index}')

    monkeypatch.setattr(synth_voc, 'draw_image', fail)
    with pytest.raises(OSError, match='no space for image 0'):
        write_synth_voc(tmp_path / 'data', **SMALL, processes=1)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_other_images():
    assert not np.array_equal(
        draw_image(0, 0).mask, draw_image(1, 0).mask
    ) or not np.array_equal(draw_image(0, 0).image, draw_image(1, 0).image)


def test_an_image_does_not_depend_on_its_neighbours(drawn):
    assert np.array_equal(draw_image(0, 17, size=96).image, drawn[17].image)


def test_every_tag_is_in_the_mask_and_every_class_of_the_mask_is_a_tag(drawn):
    for one in drawn:
        seen = {CLASSES[i] for i in np.unique(one.mask) if i not in (0, 255)}
        assert seen == set(one.tags)


def test_one_to_three_objects_and_every_class_occurs(drawn):
    assert {len(one.objects) for one in drawn} == {1, 2, 3}
    assert {tag for one in drawn for tag in one.tags} == set(CLASSES[1:])


def test_no_two_classes_touch_without_a_border(drawn):
    for one in drawn:
        mask = one.mask.astype(int)
        assert (mask == 255).any()
        for a, b in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            assert not ((a != b) & (a != 255) & (b != 255)).any()


def test_boxes_hold_the_objects(drawn):
    for one in drawn:
        inside = np.zeros(one.mask.shape, bool)
        for thing in one.objects:
            x0, y0, x1, y1 = thing.box
            assert 0 <= x0 <= x1 < one.mask.shape[1]
            assert 0 <= y0 <= y1 < one.mask.shape[0]
            inside[y0 : y1 + 1, x0 : x1 + 1] = True
        assert not one.mask[~inside & (one.mask != 255)].any()


def test_some_objects_hide_others(drawn):
    # An object that shares its outline with one of another class has a border
    # pixel whose neighbourhood holds two foreground classes.
    touching = 0
    for one in drawn:
        for y, x in np.argwhere(one.mask == 255):
            near = np.unique(one.mask[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3])
            if len(near[(near != 0) & (near != 255)]) > 1:
                touching += 1
                break
    assert touching >= 4


def test_the_part_is_small_and_the_body_tells_nothing():
    """With the same random stream, two classes differ in the part's disc only."""
    shapes = [
        synth_drawing.draw_object(
            part,
            (96, 128),
            np.array([48.0, 64.0]),
            70.0,
            behind=np.full(3, 0.5),
            rng=np.random.default_rng(3),
        )
        for part in ('star', 'grid')
    ]
    first, second = shapes
    differ = (first.colour != second.colour).any(axis=-1)
    y, x = np.nonzero(first.part)
    radius = np.sqrt(first.part_area / np.pi)
    yy, xx = np.nonzero(differ)
    assert np.hypot(yy - y.mean(), xx - x.mean()).max() < 1.3 * radius
    assert differ.any()
    assert 0.05 < first.part.sum() / (first.coverage > 0.5).sum() < 0.2


def test_parts_stay_in_sight():
    rng = np.random.default_rng(0)
    for _ in range(10):
        canvas = rng.random((96, 128, 3))
        _, shapes = synth_voc.place_objects(canvas, rng)
        for number, shape in enumerate(shapes):
            hidden = np.zeros((96, 128), bool)
            for front in shapes[number + 1 :]:
                hidden |= front.coverage >= 0.5
            assert (shape.part & ~hidden).sum() >= 0.5 * shape.part_area


def test_layout(folder):
    lists = {
        name: (folder / f'ImageSets/Segmentation/{name}.txt').read_text().split()
        for name in ('train', 'trainaug', 'val')
    }
    assert [len(lists[name]) for name in ('train', 'trainaug', 'val')] == [3, 4, 2]
    assert set(lists['train']) < set(lists['trainaug'])
    assert not set(lists['trainaug']) & set(lists['val'])
    with (folder / 'image_labels.csv').open(newline='') as file:
        tags = {row['image_id']: row['labels'].split() for row in csv.DictReader(file)}
    assert list(tags) == lists['trainaug'] + lists['val']
    for name, labels in tags.items():
        mask = Image.open(folder / f'SegmentationClass/{name}.png')
        image = Image.open(folder / f'JPEGImages/{name}.jpg')
        assert mask.mode == 'P'
        assert mask.size == image.size
        assert mask.getpalette()[3:6] == [128, 0, 0]
        root = ElementTree.parse(folder / f'Annotations/{name}.xml').getroot()
        assert {node.text for node in root.iter('name')} == set(labels)
        assert int(root.findtext('size/width')) == mask.width


def test_a_finished_dataset_is_left_alone(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    write_synth_voc(folder, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == before


def test_other_parameters_are_refused(folder):
    with pytest.raises(ValueError, match=r"generated with .*'seed': 5.*delete this"):
        write_synth_voc(folder, **{**SMALL, 'seed': 6})


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / 'holiday.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'no synth_voc\.json; give a new or empty'):
        write_synth_voc(tmp_path, **SMALL)


@pytest.mark.parametrize('processes', [1, 2])
def test_an_interrupted_run_leaves_nothing(tmp_path, processes):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synth_voc(tmp_path / 'data', **SMALL, processes=processes, report=stop)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match=r'cannot write .*file/data.*you may write'):
        write_synth_voc(tmp_path / 'file' / 'data', **SMALL)


@pytest.mark.parametrize(
    'wrong, match',
    [
        (dict(train=0), 'at least one'),
        (dict(val=0), 'at least one'),
        (dict(seed=-1), 'seed of 0 or more'),
        (dict(size=20), 'at least 64'),
        (dict(processes=0), 'at least one process'),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, wrong, match):
    with pytest.raises(ValueError, match=match):
        write_synth_voc(tmp_path / 'data', **{**SMALL, **wrong})


def test_the_manifest_holds_the_parameters(folder):
    assert json.loads((folder / 'synth_voc.json').read_text()) == {
        'version': 2,
        **SMALL,
    }


def test_the_border_lies_on_both_sides_of_every_outline():
    instances = np.array([[0, 0, 1, 1, 1, 2, 2, 2], [0] * 8, [0] * 8])
    mask = synth_voc.class_mask(instances, ['ring', 'ring'])
    i = 255
    assert mask.tolist() == [
        [0, i, i, i, i, i, i, i],
        [0, 0, i, i, i, i, i, i],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    wide = np.zeros((9, 9), int)
    wide[2:7, 2:7] = 1
    mask = synth_voc.class_mask(wide, ['cross'])
    assert (mask[3:6, 3:6] == CLASSES.index('cross')).all()
    assert (mask == 255).sum() == 16 + 20


@pytest.mark.parametrize(
    'options, code, said',
    [
        (['--train', '2', '--val', '1', '--size', '64'], 0, '4/4 images'),
        (['--train', '0'], 2, 'error: train=0, val=200: give at least one'),
    ],
)
def test_the_command(root, tmp_path, monkeypatch, capsys, options, code, said):
    script = root / 'tools/dataset_converters/make_synth_voc.py'
    monkeypatch.setattr('sys.argv', [script.name, str(tmp_path / 'out'), *options])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(script), run_name='__main__')
    assert stop.value.code == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
    assert (tmp_path / 'out/synth_voc.json').is_file() == (code == 0)
