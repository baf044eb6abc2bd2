from pathlib import Path

from wsss_mm.visualization import ImageFiles, Impression
from wsss_mm.workflow.report_gallery import choose_shown, list_findings

CLASSES = ('background', 'bottle', 'box', 'tin')


def seen(name, tags=None, masks=True, **impression):
    files = ImageFiles(
        name=name,
        image=Path(f'{name}.jpg'),
        tags=tags,
        masks={'m': Path('m.png')} if masks else {},
    )
    return files, Impression(**impression)


def names(found):
    return [files.name for files, _ in found]


def test_worst_least_certain_and_best_come_in_turn():
    images = [
        seen('middle', miou=50.0, margin=0.5),
        seen('worst', miou=1.0, margin=0.9),
        seen('best', miou=99.0, margin=0.8),
        seen('unsure', miou=60.0, margin=0.1),
        seen('unknown'),
    ]
    assert names(choose_shown(images, 3)) == ['worst', 'unsure', 'best']
    assert sorted(names(choose_shown(images, None))) == sorted(names(images))


def test_without_truth_remarks_come_first():
    images = [
        seen('sure', margin=0.9),
        seen('unsure', margin=0.1),
        seen('odd', margin=0.8, remarks=(('empty', 'm: empty'),)),
    ]
    assert names(choose_shown(images, 2)) == ['odd', 'unsure']


def test_findings_name_classes_and_count_images():
    images = [
        seen('a', (0, 1), classes=(0,), remarks=(('missing', 'x'), ('missing', 'y'))),
        seen('b', (1,), remarks=(('empty', 'm: empty'),)),
        seen('c', (0,), classes=(0,)),
    ]
    found = {one.text: one for one in list_findings(images, CLASSES)}
    assert list(found) == [
        'box is tagged on 2 images and in no mask.',
        'No image is tagged tin.',
        '1 of 3 images lack a class in a mask that they are tagged with.',
        '1 of 3 images have an empty mask.',
    ]
    assert found['box is tagged on 2 images and in no mask.'].class_index == 2
    assert found['1 of 3 images have an empty mask.'].remark == 'empty'


def test_nothing_is_found_where_nothing_is_known():
    assert list_findings([seen('a', masks=False)], CLASSES) == []
    assert list_findings([seen('a', (0, 1, 2), masks=False)], CLASSES) == []
