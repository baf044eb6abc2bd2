"""What the demo tells: figures as JSON, and a report with pictures."""

import csv
import json
import os
import platform

import numpy as np
import torch
from demo_stages import STAGES_OF_CHAINS, Demo, last_chain
from PIL import Image

from wsss_mm import __version__
from wsss_mm.datasets.synth_voc import METAINFO
from wsss_mm.engine.refine import mask_folder
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.visualization import draw_cam, draw_mask, write_report

CHAINS_IN_WORDS = {'rw_crf': 'random walk, then dense CRF', 'pamr': 'PAMR'}


def stage_names(demo: Demo) -> list[str]:
    """List the stages that have a figure, in the order of the pipeline."""
    cams = ['cam_baseline', 'cam_baseline_crf', f'{demo.method}_cam']
    names = [*cams, *STAGES_OF_CHAINS.values()]
    made = [name for name in names if (demo.folder / f'{name}.json').is_file()]
    return [*dict.fromkeys(made), 'segmentation', 'fully_supervised']


def collect(demo: Demo) -> dict:
    """Gather the figures of all stages, in percent."""
    stages = {}
    for name in stage_names(demo):
        found = json.loads((demo.folder / f'{name}.json').read_text())
        if 'mIoU_best' not in found:
            stages[name] = dict(miou=found['mIoU'])
            continue
        stages[name] = dict(
            miou=found['mIoU_best'],
            threshold=found['best_threshold'],
            miou_fixed=found['mIoU'],
            fixed_threshold=found['threshold'],
        )
    return stages


def samples(demo: Demo) -> list[dict]:
    """Put what every stage made of a few val images side by side."""
    with (demo.data / 'image_labels.csv').open(newline='') as lines:
        tags = {row['image_id']: row['labels'].split() for row in csv.DictReader(lines)}
    palette = METAINFO['palette']
    found = []
    for name in (demo.folder / 'samples.txt').read_text().split():
        image = np.asarray(Image.open(demo.data / 'JPEGImages' / f'{name}.jpg'))
        method = demo.folder / f'{demo.method}_cam' / 'samples'
        baseline = demo.folder / 'cam_baseline' / 'samples'
        masks = {
            'CAM mask': method / 'masks',
            'pseudo mask': method / mask_folder(last_chain(demo)),
            'segmentation': demo.folder / 'segmentation' / 'masks',
            'fully supervised': demo.folder / 'fully_supervised' / 'masks',
            'ground truth': demo.data / 'SegmentationClass',
        }
        found.append(
            dict(
                name=name,
                tags=tags[name],
                pictures={
                    'image': image,
                    'CAM baseline': draw_cam(
                        image, load_cam(baseline / 'cams' / f'{name}.npz')[1]
                    ),
                    f'{demo.method.upper()} CAM': draw_cam(
                        image, load_cam(method / 'cams' / f'{name}.npz')[1]
                    ),
                    **{
                        caption: draw_mask(
                            image, load_mask(folder / f'{name}.png'), palette
                        )
                        for caption, folder in masks.items()
                    },
                },
            )
        )
    return found


def report(demo: Demo, results: dict) -> None:
    """Write the HTML report."""
    texts = {
        'cam_baseline': ('plain CAM, best threshold', 'train'),
        f'{demo.method}_cam': (f'{demo.method.upper()} CAM, best threshold', 'train'),
        'cam_baseline_crf': ('plain CAM after dense CRF', 'train'),
        'crf': (f'{demo.method.upper()} CAM after dense CRF', 'train'),
        'random_walk': (f'{demo.method.upper()} CAM after the random walk', 'train'),
        'pseudo_mask': (f'pseudo masks: {CHAINS_IN_WORDS[last_chain(demo)]}', 'train'),
        'segmentation': ('DeepLabV2 trained from the pseudo masks', 'val'),
        'fully_supervised': ('the same DeepLabV2 trained from true masks', 'val'),
    }
    rows = [
        {'stage': texts[name][0], 'images': texts[name][1], 'mIoU [%]': stage['miou']}
        for name, stage in results['stages'].items()
    ]
    curves = {
        name: json.loads((demo.folder / f'{name}.json').read_text())['curve']
        for name in ('cam_baseline', f'{demo.method}_cam')
    }
    write_report(
        demo.folder / 'report.html',
        title=f'{demo.method.upper()} on SynthVOC: from image tags to a segmenter',
        stages=rows,
        samples=samples(demo),
        curves=curves,
        facts={
            'seconds': results['seconds'],
            'seed': demo.seed,
            'wsss_mm': __version__,
            'torch': torch.__version__,
            'machine': f'{platform.machine()}, {os.cpu_count()} CPUs',
        },
        notes=[
            'The best threshold looks at ground truth and is shown to compare CAMs; '
            'everything below it has a fixed background.',
            'All networks start from one classifier trained on tags, which takes the '
            'place of ImageNet weights. SynthVOC figures compare methods under one '
            'small budget; they say nothing about VOC.',
        ],
    )
