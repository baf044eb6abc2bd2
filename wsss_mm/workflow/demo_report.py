"""What the demo shows: figures as JSON, and a report with pictures."""

import csv
import json
from pathlib import Path
from typing import Any

import torch

from wsss_mm import __version__
from wsss_mm.datasets.synth_voc import METAINFO
from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.visualization import ImageFiles, Report, write_report
from wsss_mm.workflow.demo_stages import (
    BASELINE,
    METHODS,
    SUPERVISED,
    Demo,
    network_of,
)
from wsss_mm.workflow.report_gallery import make_gallery
from wsss_mm.workflow.run_facts import PACKAGE, commit_of, device_name
from wsss_mm.workflow.run_report import bars_of

CLASSES: Any = METAINFO['classes']

REFINED = ('crf', 'random_walk', 'pseudo_mask', 'segmentation')
WORDS = {
    'cam': 'CAM, best threshold',
    'crf': 'CAM after dense CRF',
    'random_walk': 'CAM after the random walk',
    'pseudo_mask': 'pseudo masks',
    'segmentation': 'DeepLabV2 trained from the pseudo masks',
}
HEADINGS = {
    'cam': 'CAM',
    'crf': 'CRF',
    'random_walk': 'random walk',
    'pseudo_mask': 'pseudo masks',
    'segmentation': 'DeepLabV2',
}
NOTES = [
    'The best threshold looks at ground truth and is shown to compare CAMs; everything '
    'below it has a fixed background.',
    'All networks start from one classifier trained on tags, which takes the place of '
    'ImageNet weights. SynthVOC figures compare methods under one small budget; they '
    'say nothing about VOC.',
]

LEGEND = (
    'mIoU in percent. CAM: at its best threshold, on train. CRF, random walk and both '
    '(pseudo masks): refined CAMs, on train. DeepLabV2: trained from the pseudo masks, '
    'on val.'
)


def figures(path: Path) -> dict[str, float]:
    """Read the figures of a stage, in percent."""
    found = json.loads(path.read_text())
    if 'mIoU_best' not in found:
        return dict(miou=found['mIoU'])
    return dict(
        miou=found['mIoU_best'],
        threshold=found['best_threshold'],
        miou_fixed=found['mIoU'],
        fixed_threshold=found['threshold'],
    )


def stages_of(demo: Demo, method: str) -> dict[str, dict]:
    """Gather the figures of a method's stages, the yardsticks among them."""
    files = {BASELINE: BASELINE, f'{BASELINE}_crf': f'{BASELINE}_crf'}
    if network_of(method) != BASELINE:
        files[f'{method}_cam'] = f'{method}_cam'
    files |= {stage: f'{method}_{stage}' for stage in REFINED}
    files[SUPERVISED] = SUPERVISED
    paths = {stage: demo.folder / f'{name}.json' for stage, name in files.items()}
    return {stage: figures(path) for stage, path in paths.items() if path.is_file()}


def collect(demo: Demo) -> dict[str, Any]:
    """Gather all figures: by method, and those of an only method as ``stages``."""
    methods = {method: stages_of(demo, method) for method in demo.methods}
    if len(methods) > 1:
        return dict(methods=methods)
    return dict(stages=next(iter(methods.values())), methods=methods)


def rows_of_one(method: str, stages: dict[str, dict]) -> list[dict]:
    """List the stages of a method, one a row."""
    title = METHODS[method].title
    texts = {
        BASELINE: ('plain CAM, best threshold', 'train'),
        f'{BASELINE}_crf': ('plain CAM after dense CRF', 'train'),
        f'{method}_cam': (f'{title} {WORDS["cam"]}', 'train'),
        **{stage: (f'{title} {WORDS[stage]}', 'train') for stage in REFINED[:2]},
        'pseudo_mask': (WORDS['pseudo_mask'], 'train'),
        'segmentation': (WORDS['segmentation'], 'val'),
        SUPERVISED: ('the same DeepLabV2 trained from true masks', 'val'),
    }
    return [
        {'stage': texts[name][0], 'images': texts[name][1], 'mIoU [%]': stage['miou']}
        for name, stage in stages.items()
    ]


def rows_of_all(methods: dict[str, dict]) -> list[dict]:
    """List the methods, one a row, and the yardstick."""
    rows = []
    for method, stages in methods.items():
        cam = stages.get(f'{method}_cam', stages[BASELINE])
        known = {'cam': cam, **{name: stages.get(name) for name in REFINED}}
        supervised = stages[SUPERVISED]['miou']
        rows.append(
            {
                'method': METHODS[method].title,
                **{
                    HEADINGS[name]: stage['miou'] if stage else '-'
                    for name, stage in known.items()
                },
                '% of true masks': 100 * stages['segmentation']['miou'] / supervised,
            }
        )
    blank = dict.fromkeys(rows[0], '-')
    last = {
        'method': 'true masks',
        HEADINGS['segmentation']: supervised,
        '% of true masks': 100.0,
    }
    return [*rows, {**blank, **last}]


def samples(demo: Demo) -> list[ImageFiles]:
    """List what every stage made of a few val images."""
    foreground = CLASSES[1:]
    with (demo.data / 'image_labels.csv').open(newline='') as lines:
        tags = {
            row['image_id']: tuple(map(foreground.index, row['labels'].split()))
            for row in csv.DictReader(lines)
        }
    names = (demo.folder / 'samples.txt').read_text().split()
    return [files_of(demo, name, tags[name]) for name in names]


def files_of(demo: Demo, name: str, tags: tuple[int, ...]) -> ImageFiles:
    """List the CAMs and masks of one image, by caption."""
    cam, png = Path(CAM_FOLDER) / f'{name}.npz', f'{name}.png'
    cams = {'plain CAM': demo.folder / BASELINE / 'samples' / cam}
    masks = {}
    for method in demo.methods:
        made = demo.folder / network_of(method) / 'samples'
        title = METHODS[method].title
        if network_of(method) != BASELINE:
            cams[f'{title} CAM'] = made / cam
        masks[f'{title} raw mask'] = made / MASK_FOLDER / png
        masks[f'{title} pseudo mask'] = made / demo.mask_folder(method) / png
        segmenter = demo.folder / f'{method}_segmentation'
        masks[f'{title} segmentation'] = segmenter / MASK_FOLDER / png
    supervised = {'fully supervised': demo.folder / SUPERVISED / MASK_FOLDER / png}
    return ImageFiles(
        name=name,
        image=demo.data / 'JPEGImages' / f'{name}.jpg',
        tags=tags,
        cams=cams,
        # The order says which masks are judged: those of the last method.
        masks={**supervised, **masks},
        truth=demo.data / 'SegmentationClass' / png,
    )


def report(demo: Demo, results: dict) -> None:
    """Write the HTML report."""
    if 'stages' in results:
        (method,) = demo.methods
        title = METHODS[method].title
        rows, notes = rows_of_one(method, results['stages']), NOTES
    else:
        title = f'{len(demo.methods)} methods'
        rows = rows_of_all(results['methods'])
        notes = [*NOTES, LEGEND]
    # Eight images say nothing about the data: their findings are not shown.
    gallery, _ = make_gallery(samples(demo), CLASSES)
    networks = dict.fromkeys([BASELINE, *map(network_of, demo.methods)])
    made = Report(
        title=f'{title} on SynthVOC: from image tags to a segmenter',
        stages=rows,
        notes=notes,
        curves={
            name: json.loads((demo.folder / f'{name}.json').read_text())['curve']
            for name in networks
        },
        classes=class_bars(demo),
        gallery=gallery,
        facts={
            'seconds': results['seconds'],
            'seed': demo.seed,
            'commit': commit_of(PACKAGE) or '-',
            'device': device_name(),
            'wsss_mm': __version__,
            'torch': torch.__version__,
        },
    )
    write_report(demo.folder / 'report.html', made)


def class_bars(demo: Demo) -> dict[str, dict[str, float | None]]:
    """Arrange the IoU of each class: CAMs and segmenter of each method."""
    figures = {}
    for method in demo.methods:
        title = METHODS[method].title
        stages = {
            f'{title} CAMs': network_of(method),
            f'{title} segmentation': f'{method}_segmentation',
        }
        for name, stage in stages.items():
            text = (demo.folder / f'{stage}.json').read_text()
            figures[name] = json.loads(text)
    return bars_of(figures, CLASSES)
