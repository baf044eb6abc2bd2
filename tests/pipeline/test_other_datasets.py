"""From the user's data to evaluated masks: an own folder, and a COCO in small.

A small network is trained for two steps, so its masks are poor. What counts is that all
images, tags, classes and masks find one another under every name on the way.
"""

import importlib.util
import json
import re
import sys

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image, ImageDraw

from wsss_mm.datasets import COCOImageLabelDataset
from wsss_mm.io.mask_file import load_mask, save_mask
from wsss_mm.workflow import stage as pipeline

QUICK = (
    *('train_dataloader.batch_size=2', 'train_cfg.max_iters=2'),
    *('train_cfg.val_interval=2', 'load_from=None'),
    *('default_hooks.logger.interval=1', 'visualizer.name=of_this_test'),
    *(
        f'{split}_dataloader.{option}'
        for split in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False')
    ),
)
THIN = {'stem_channels': 4, 'base_channels': 4, 'init_cfg': None}


OWN = (
    *QUICK,
    *(f'model.backbone.{key}={value}' for key, value in THIN.items()),
    'model.decode_head.in_channels=32',
)


@pytest.fixture
def tool(root, monkeypatch):
    """Run one of the tools as its command line would."""

    def run(name, *arguments):
        path = root / 'tools' / name
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        # Processes that are forked look for it here.
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        module.main()

    return run


def masks_of(folder):
    return {
        path.relative_to(folder).with_suffix('').as_posix(): load_mask(path)
        for path in folder.rglob('*.png')
    }


def miou(found, truth, num_classes):
    """Count intersections and unions class by class in plain loops."""
    scores = []
    for index in range(num_classes):
        both = either = 0
        for name, true in truth.items():
            counted = true != 255
            a, b = found[name][counted] == index, true[counted] == index
            both, either = both + (a & b).sum(), either + (a | b).sum()
        scores.append(both / either if either else 0)
    return 100 * np.mean(scores)


def make_masks(tool, config, out, options):
    tool('train.py', config, '--work-dir', out / 'cam', '--cfg-options', *options)
    arguments = ('gen_pseudo.py', config, out / 'cam', '--out', out)
    tool(*arguments, '--single-scale', '--threshold', '0.4', '--cfg-options', *options)
    return masks_of(out / 'masks')


def check_masks(found, tags, sizes, classes):
    """Every image has a mask of its size with no class but its own."""
    assert set(found) == set(tags)
    for name, mask in found.items():
        assert mask.shape == sizes[name]
        allowed = {classes.index(tag) + 1 for tag in tags[name]}
        values = set(np.unique(mask).tolist())
        assert values <= {0, *allowed}
    assert any(mask.any() for mask in found.values())


SHELF = ('bottle', 'box', 'tin')
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
IMAGES = {
    'monday/IMG 001.jpg': ('bottle',),
    'monday/IMG 002.png': ('bottle', 'box'),
    'monday/deep er/größe, 3.v2.PNG': ('box', 'tin'),
    'tuesday/IMG 001.png': ('tin',),
    'floor_17.jpeg': (),
}


SMALL = {
    'seam/seam_r38_voc.py': 'cam/cam_r18_synth.py',
    'seam/seam_r38_voc_deeplabv1.py': 'cam/cam_r18_synth_deeplabv2.py',
}


@pytest.fixture
def shelf(root, tmp_path, monkeypatch):
    """The folder of the README's example, and its configs on small networks."""
    folder = tmp_path / 'data/shelf'
    rows = ['image_id,labels']
    for number, (name, tags) in enumerate(IMAGES.items()):
        stem = name.rpartition('.')[0]
        path = folder / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new('RGB', (72, 56 + 4 * number), (128, 128, 128))
        mask = Image.new('L', image.size)
        for place, tag in enumerate(tags):
            box = (6 + 36 * place, 10, 30 + 36 * place, 40)
            ImageDraw.Draw(image).rectangle(box, COLOURS[SHELF.index(tag)])
            ImageDraw.Draw(mask).rectangle(box, SHELF.index(tag) + 1)
        image.save(path)
        if number:  # the first image has no true mask
            save_mask(folder / f'masks/{stem}.png', np.array(mask), [[0, 0, 0]])
        shown = name if number % 2 else stem
        rows.append(f'"{shown}",{" ".join(tags)}')
    (folder / 'tags.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
    (folder / 'masked.txt').write_text('\n'.join([*IMAGES][1:]), encoding='utf-8')
    examples = re.findall(
        r'```python\n(# configs/(shelf\w*\.py)\n.*?)```',
        (root / 'README.md').read_text(),
        re.DOTALL,
    )
    assert len(examples) == 3
    for text, name in examples:
        for given, small in SMALL.items():
            text = text.replace(f"'{given}'", repr(str(root / 'configs' / small)))
        assert 'r38' not in text
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_own_folder(tool, shelf):
    found = make_masks(tool, 'shelf.py', shelf / 'out', OWN)
    tags = {name.rpartition('.')[0]: names for name, names in IMAGES.items()}
    sizes = {name: (56 + 4 * number, 72) for number, name in enumerate(tags)}
    check_masks(found, tags, sizes, SHELF)
    assert not found['floor_17'].any()
    data = shelf / 'data/shelf'
    report = shelf / 'report.json'
    tool(
        *('eval_masks.py', shelf / 'out/masks', data / 'masks'),
        *('--list', data / 'masked.txt', '--classes', 4, '--json', report),
        *('--workers', 1),
    )
    figures = json.loads(report.read_text())
    truth = masks_of(data / 'masks')
    assert figures['images'] == len(truth) == 4
    assert figures['mIoU'] == pytest.approx(miou(found, truth, 4), abs=0.01)


def test_from_an_own_folder_to_a_segmenter(tool, shelf, monkeypatch):
    """The README's commands, with PAMR in the place of dense CRF."""
    stages = []

    def run_here(stage, folder, *, gpus):
        stages.append(stage.name)
        file = shelf / f'{stage.name}.json'
        file.write_text(json.dumps(stage.options))
        tool(*stage.command, '--options-file', file)
        return 0.0

    monkeypatch.setattr(pipeline, 'run_stage', run_here)
    work = shelf / 'work_dirs/shelf'
    work.mkdir(parents=True)
    tool(
        *('run_pipeline.py', 'shelf.py', '--refine', 'pamr', '--workers', 0),
        *('--cfg-options', *OWN, '--segmenter-options', *OWN),
    )
    assert stages == [
        *('train_cam', 'gen_pseudo', 'refine_pamr', 'train_segmenter'),
        'test_segmenter',
    ]
    names = {name.rpartition('.')[0] for name in IMAGES}
    for folder in ('masks', 'masks_pamr', 'predictions/masks'):
        assert set(masks_of(work / folder)) == names
    # Images that have no tags.
    Image.new('RGB', (60, 50)).save(shelf / 'data/shelf/images/new one.png')
    (shelf / 'data/shelf/new.txt').write_text('new one\n')
    data = 'test_dataloader.dataset'
    tool(
        *('test.py', 'shelf_deeplabv1.py', work / 'segmenter', '--out', work / 'new'),
        *('--cfg-options', f'{data}.tags=None', f'{data}.ann_file=new.txt', *OWN),
    )
    assert {
        name: mask.shape for name, mask in masks_of(work / 'new/masks').items()
    } == {'new one': (50, 60)}


def coco_file(split, numbers):
    """Annotate two boxes in each image, and a crowd in the last."""
    categories = {1: 'person', 18: 'dog', 90: 'toothbrush'}
    images, annotations = [], []
    for number in numbers:
        name = f'COCO_{split}2014_{number:012}.jpg'
        images.append(dict(id=number, file_name=name, height=64, width=80))
        for place in range(2):
            left, kind = 8 + 40 * place, [*categories][(number + place) % 3]
            corners = [left, 12, left + 24, 12, left + 24, 52, left, 52]
            annotations.append(
                dict(image_id=number, category_id=kind, segmentation=[corners])
            )
    crowd = dict(counts=[0, 128, 64 * 80 - 128], size=[64, 80])
    annotations.append(
        dict(image_id=numbers[-1], category_id=1, segmentation=crowd, iscrowd=1)
    )
    for number, entry in enumerate(annotations):
        entry['id'] = number
    listed = [dict(id=key, name=name) for key, name in categories.items()]
    return dict(images=images, annotations=annotations, categories=listed)


@pytest.fixture
def coco(tmp_path):
    folder = tmp_path / 'coco14'
    (folder / 'annotations').mkdir(parents=True)
    for split, numbers in (('train', (3, 4, 5, 6)), ('val', (7, 8))):
        content = coco_file(split, numbers)
        path = folder / f'annotations/instances_{split}2014.json'
        path.write_text(json.dumps(content))
        (folder / f'{split}2014').mkdir()
        for entry in content['images']:
            image = Image.effect_noise((80, 64), 60).convert('RGB')
            image.save(folder / f'{split}2014' / entry['file_name'])
    return folder


def coco_config(root, coco, path):
    """SEAM's config for COCO on the small network of the demo."""
    cfg = Config.fromfile(root / 'configs/seam/seam_r38_coco.py')
    small = Config.fromfile(root / 'configs/_base_/models/seam_r18.py')
    small.model.backbone.update(THIN)
    small.model.neck.update(in_channels=(4, 8), mid_channels=(4, 4), out_channels=8)
    small.model.decode_head.update(
        in_channels=32, num_classes=cfg.model.decode_head.num_classes
    )
    cfg.model = small.model
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(coco)
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'RandomResizeLong':
            step.update(low=64, high=96)
        if step.type == 'RandomCropPad':
            step.crop_size = 64
    cfg.dump(path)
    return path


def test_coco(tool, root, coco, tmp_path):
    tool('dataset_converters/coco14.py', coco, '--partial', '--workers', 1)
    truth = {
        name: mask
        for name, mask in masks_of(coco / 'SegmentationClass').items()
        if '_train2014_' in name
    }
    assert len(truth) == 4
    assert {*np.unique(np.stack([*truth.values()]))} == {0, 1, 17, 80, 255}
    assert sum((mask == 255).sum() for mask in truth.values()) == 128
    config = coco_config(root, coco, tmp_path / 'coco.py')
    found = make_masks(tool, config, tmp_path / 'out', QUICK)
    classes = COCOImageLabelDataset.METAINFO['classes'][1:]
    tags = {
        name: [classes[value - 1] for value in np.unique(mask) if 0 < value < 255]
        for name, mask in truth.items()
    }
    # The crowd of persons is a tag, but no pixel.
    last = 'COCO_train2014_000000000006'
    tags[last] = [*tags[last], 'person']
    check_masks(found, tags, dict.fromkeys(truth, (64, 80)), classes)
    report = tmp_path / 'report.json'
    tool(
        *('eval_masks.py', tmp_path / 'out/masks', coco / 'SegmentationClass'),
        *('--list', coco / 'ImageSets/Segmentation/train.txt', '--dataset', 'coco'),
        *('--json', report, '--workers', 1),
    )
    figures = json.loads(report.read_text())
    assert figures['images'] == 4
    assert figures['mIoU'] == pytest.approx(miou(found, truth, 81), abs=0.01)
