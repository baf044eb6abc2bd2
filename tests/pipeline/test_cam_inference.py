"""CAM inference finds objects: TTA, hook and eval_masks with a network made by hand.

The images hold coloured rectangles with a brighter part, on black. The network sees
the parts alone, as a tag classifier does; pixel correlation must find the rest.
"""

import importlib.util
import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch import nn

import wsss_mm.engine
import wsss_mm.models  # noqa: F401
from wsss_mm.datasets.synth_voc import voc_palette
from wsss_mm.datasets.transforms.colour import IMAGENET_MEAN, IMAGENET_STD
from wsss_mm.io.mask_file import save_mask
from wsss_mm.registry import MODELS

NAMES = ('red', 'green', 'blue')
CLASSES = ('background', *NAMES)


@MODELS.register_module(force=True)
class PartFinder(nn.Module):
    """Answer to bright red, green and blue at stride 4."""

    def forward(self, image):
        parts = F.avg_pool2d((image - 1.5).clamp(min=0), 4)
        return parts, parts, parts


def paint(canvas, mask, box, index, *, tagged):
    """Paint an object in normalised colours: 1 for its body, 2 for its part."""
    top, left, height, width = box
    canvas[top : top + height, left : left + width] = 0
    canvas[top : top + height, left : left + width, index] = 1
    canvas[top + 8 : top + 16, left + 8 : left + 16, index] = 2
    mask[top : top + height, left : left + width] = index + 1 if tagged else 255


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Six images of two tagged objects and one of a class that nobody tagged."""
    folder = tmp_path_factory.mktemp('parts')
    (folder / 'JPEGImages').mkdir()
    rows = ['image_id,labels']
    for number in range(6):
        first, second, untagged = np.roll(range(3), number).tolist()
        canvas = np.full((96, 128, 3), -1.0)
        mask = np.zeros((96, 128), np.uint8)
        paint(canvas, mask, (8 + 8 * (number % 2), 8, 40, 32), first, tagged=True)
        paint(canvas, mask, (40, 80 - 8 * number % 24, 48, 40), second, tagged=True)
        paint(canvas, mask, (4, 100, 24, 24), untagged, tagged=False)
        colours = canvas * IMAGENET_STD + IMAGENET_MEAN
        image = Image.fromarray(colours.round().clip(0, 255).astype(np.uint8))
        image.save(folder / f'JPEGImages/{number}.png')
        # What nobody tagged counts as background, as in any tagged collection.
        mask[mask == 255] = 0
        save_mask(folder / f'truth/{number}.png', mask, voc_palette(4))
        rows.append(f'{number},{NAMES[first]} {NAMES[second]}')
    (folder / 'tags.csv').write_text('\n'.join(rows) + '\n')
    (folder / 'list.txt').write_text('\n'.join(map(str, range(6))) + '\n')
    return folder


def network(method):
    model = dict(
        type='CAMEncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        backbone=dict(type='PartFinder'),
        decode_head=dict(type='CAMHead', in_channels=3, num_classes=4),
        test_cfg=dict(normalization='max', background_threshold=0.3),
    )
    if method == 'seam':
        model['decode_head']['type'] = 'SEAMHead'
        model['test_cfg']['normalization'] = 'min_max'
        model['neck'] = dict(
            type='PCMNeck',
            in_channels=(3, 3),
            in_indices=(0, 1),
            mid_channels=(1, 1),
            out_channels=3,
        )
    return dict(type='CAMTTAModel', module=model)


def set_weights(model, order):
    """Let class i answer to colour order[i]; let pixels of one colour attract."""
    identity = torch.eye(3)[order][:, :, None, None]
    classifier = model.decode_head.classifier.weight.data
    classifier[-3:] = identity
    if model.with_neck:
        classifier[0] = 0
        model.neck.f9.weight.data.zero_()[:, :3] = torch.eye(3)[:, :, None, None]


@pytest.fixture
def score(root, folder, tmp_path):
    """Run inference as gen_pseudo does and score its masks as a user would."""
    spec = importlib.util.spec_from_file_location(
        'eval_masks', root / 'tools/eval_masks.py'
    )
    eval_masks = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = eval_masks
    spec.loader.exec_module(eval_masks)

    def run(method, order=(0, 1, 2)):
        init_default_scope('mmseg')
        data = Config.fromfile(root / 'configs/_base_/datasets/synth_voc.py')
        out = tmp_path / 'out'
        runner = Runner(
            model=network(method),
            work_dir=str(tmp_path / 'work'),
            test_dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(
                    type='ImageLabelDataset',
                    ann_file='list.txt',
                    data_root=str(folder),
                    data_prefix=dict(img_path='JPEGImages'),
                    tags='tags.csv',
                    metainfo=dict(classes=CLASSES),
                    pipeline=data.tta_pipeline,
                ),
            ),
            test_cfg=dict(type='TestLoop'),
            test_evaluator=dict(type='Evaluator', metrics=[]),
            custom_hooks=[dict(type='PseudoLabelHook', out_dir=str(out))],
            default_scope='mmseg',
            log_level='ERROR',
        )
        set_weights(runner.model.module, list(order))
        runner.test()
        figures = {}
        for kind in ('masks', 'cams'):
            report = tmp_path / f'{kind}.json'
            options = ['--threshold', '0.3'] if kind == 'cams' else []
            arguments = [
                *(out / kind, folder / 'truth', '--list', folder / 'list.txt'),
                *('--classes', 4, '--workers', 1, '--json', report, *options),
            ]
            eval_masks.main([str(argument) for argument in arguments])
            figures[kind] = json.loads(report.read_text())['mIoU']
        assert figures['masks'] == pytest.approx(figures['cams'], abs=0.5)
        return figures['masks']

    yield run
    del sys.modules[spec.name]


def test_refined_cams_cover_the_objects(score, folder, tmp_path):
    refined = score('seam')
    assert refined > 85
    # Without a network: everything background.
    from wsss_mm.functional import confusion_counts, iou_report
    from wsss_mm.io.mask_file import load_mask

    counts = 0
    for path in (folder / 'truth').iterdir():
        truth = load_mask(path)
        counts = counts + confusion_counts(np.zeros_like(truth), truth, 4)
    uninformed = 100 * iou_report(counts).miou
    assert refined > uninformed + 50


def test_plain_cams_cover_the_parts_alone(score):
    """Pixel correlation is what finds the rest."""
    assert 20 < score('cam') < 60


def test_channels_of_other_classes_find_nothing(score):
    assert score('seam', order=(1, 2, 0)) < 40
