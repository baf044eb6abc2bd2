"""Tell whether this Python and a dataset are fit to work, and how to mend what is not.

Give a config to check its datasets and the weights it starts from, or a folder in the
layout of PASCAL VOC. Exit status: 0 fit, 1 something is broken, 2 wrong usage.
"""

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from check_env import Report, check_environment

from wsss_mm.utils.errors import InputError

CONVERTERS = {
    'COCOImageLabelDataset': 'coco14.py {root}',
    'SynthVOCDataset': 'make_synth_voc.py {root}',
    'VOCImageLabelDataset': 'voc12.py VOCtrainval_11-May-2012.tar --sbd benchmark.tgz '
    '--out {root}',
}
CONVERT = 'python tools/model_converters/convert.py'
PRETRAIN = 'configs/cam/cam_r18_synth_pretrain.py'
# What makes the weights that our configs start from, by the name of their file.
WEIGHTS = {
    'resnet38_imagenet.pth': 'ilsvrc-cls_rna-a1_cls1000_ep-0001.params',
    'vgg16_imagenet.pth': 'vgg16_20M.caffemodel',
    'resnest50_imagenet.pth': 'resnest50-528c19ca.pth',
    'resnest101_imagenet.pth': 'resnest101-22405ba7.pth',
    'resnest269_imagenet.pth': 'resnest269-0cc87c48.pth',
}
SHOWN = 3


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('target', nargs='?', help='config file or dataset folder')
    parser.add_argument(
        '--tests', action='store_true', help='check what `make test` needs too'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes that read'
    )
    return parser.parse_args(argv)


def datasets_of_config(path: str, report: Report) -> tuple[str, list[tuple[str, Any]]]:
    """Build the datasets of a config, unread, and check what else it names."""
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings

    from wsss_mm.registry import DATASETS
    from wsss_mm.workflow.launch import load_config, start_from

    cfg = load_config(path)
    if 'model' not in cfg or 'custom_imports' not in cfg:
        raise InputError(
            f'{path} is a part of a config and no whole one; name one of '
            'configs/<method>/, or your own'
        )
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    try:
        start_from(cfg, resume=False)
    except ValueError as error:
        report.wrong(str(error), mend_of_weights(str(error).partition(': ')[0]))
    check_seed_scores(cfg, path, report)
    built: dict[str, tuple[str, Any]] = {}
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        options = dict(loader.dataset, pipeline=[], lazy_init=True)
        built.setdefault(str(options), (split, DATASETS.build(options)))
    head = cfg.model.get('decode_head') or {}
    for _, dataset in built.values():
        wanted, told = len(dataset.metainfo['classes']), head.get('num_classes')
        if told not in (None, wanted):
            report.wrong(
                f'{path}: the head has num_classes={told}, the dataset {wanted}',
                f'write model = dict(decode_head=dict(num_classes={wanted}))',
            )
            break
    return path, list(built.values())


def mend_of_weights(path: str) -> str:
    """Give the command that makes a file of weights that one of our configs names."""
    name = os.path.basename(path)
    if name in WEIGHTS:
        return f'{CONVERT} {WEIGHTS[name]} {shlex.quote(path)}'
    if os.path.join(Path(PRETRAIN).stem, '') in path:
        return f'python tools/train.py {PRETRAIN}'
    return f'{CONVERT} SOURCE {shlex.quote(path)}'


def check_seed_scores(cfg: Any, path: str, report: Report) -> None:
    """Check that what an affinity network learns from was made."""
    loader = cfg.get('train_dataloader') or dict(dataset={})
    data = loader['dataset']
    name = (data.get('data_prefix') or {}).get('seed_scores_path')
    folder = os.path.join(data.get('data_root') or '', name or '')
    if name is not None and not os.path.isdir(folder):
        report.wrong(
            f'no folder of seed scores {folder}',
            f'python tools/run_pipeline.py {cam_config(path)}',
        )


def cam_config(path: str) -> str:
    """Name the CAM config that the config of a later stage belongs to."""
    given = Path(path)
    first = given.with_name(re.sub('_(affinity|deeplab).*', '', given.stem) + '.py')
    return str(first) if first != given and first.is_file() else 'CONFIG'


def datasets_of_folder(path: str) -> list[tuple[str, Any]]:
    """Build a dataset, unread, for each list of a folder in the layout of VOC."""
    from wsss_mm.datasets import (
        COCOImageLabelDataset,
        SynthVOCDataset,
        VOCImageLabelDataset,
    )
    from wsss_mm.datasets.synth_voc import MANIFEST

    root = Path(path)
    lists = [
        root / f'ImageSets/Segmentation/{name}.txt'
        for name in ('train', 'trainaug', 'val')
    ]
    kind: Any = VOCImageLabelDataset
    images = 'JPEGImages'
    if (root / MANIFEST).is_file():
        kind = SynthVOCDataset
    elif (root / 'annotations').is_dir():
        kind, images = COCOImageLabelDataset, ''
    elif not (root / images).is_dir():
        raise InputError(
            f'{root} holds no {images} as VOC has it; name a config that says where '
            'the images, tags and classes are'
        )
    if not any(file.is_file() for file in lists):
        mend = converter(kind.__name__, path)
        raise InputError(f'{root} holds no {lists[0].parent}/*.txt; run {mend}')
    table = (root / 'image_labels.csv').is_file()
    augmented = (root / 'SegmentationClassAug').is_dir()
    masks = 'SegmentationClassAug' if augmented else 'SegmentationClass'
    options = dict(
        data_root=path,
        tags='image_labels.csv' if table else 'Annotations',
        tag_source='file' if table else 'xml',
        pipeline=[],
        lazy_init=True,
    )
    datasets = []
    for file in filter(Path.is_file, lists):
        prefix = dict(
            img_path=images or f'{file.stem}2014',
            seg_map_path=masks if (root / masks).is_dir() else None,
        )
        dataset = kind(str(file.relative_to(root)), data_prefix=prefix, **options)
        datasets.append((file.stem, dataset))
    return datasets


def converter(kind: str, root: str) -> str:
    """Give the command that makes or completes a dataset of ours."""
    place = shlex.quote(root)
    if kind == 'VOCImageLabelDataset' and Path(root).name == 'voc_mini':
        command = f'voc_mini.py data/VOCdevkit/VOC2012 {place}'
    else:
        command = CONVERTERS[kind].format(root=place)
    command = f'python tools/dataset_converters/{command}'
    # A finished SynthVOC is left as it is, however damaged.
    options = drawn_with(root) if kind == 'SynthVOCDataset' else None
    return command if options is None else f'rm -r {place} && {command} {options}'


def drawn_with(root: str) -> str | None:
    """Give the options that the SynthVOC in a folder was generated with."""
    from wsss_mm.datasets.synth_voc import MANIFEST

    try:
        numbers = json.loads((Path(root) / MANIFEST).read_text())
        options = [(key, int(numbers[key])) for key in ('train', 'val', 'seed', 'size')]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ' '.join(f'--{key} {value}' for key, value in options)


def mend_of(kind: str, dataset: Any, target: str, *, pseudo: bool) -> str:
    """Say how to mend a kind of problem of a dataset; its masks may be ours."""
    root = dataset.data_root or '.'
    own = type(dataset).__name__ == 'ImageLabelDataset'
    if kind == 'classes':
        return f"write metainfo=dict(classes=('background', ...)) into {target}"
    if pseudo and kind in ('masks', 'sizes'):
        first = cam_config(target)
        if not os.path.isdir(dataset.data_prefix['seg_map_path']):
            return f'python tools/run_pipeline.py {first}'
        work = f'work_dirs/{Path(first).stem}'
        return f'python tools/gen_pseudo.py {first} {work}/cam --out {work} --overwrite'
    if kind == 'strays':
        return 'nothing reads them: delete them, or add their images'
    table = dataset.tag_source == 'file' and os.path.isfile(dataset._tag_path())
    if kind == 'tags' and table:
        classes = '' if os.path.isdir(target) else f', or the classes in {target}'
        return f'edit {dataset._tag_path()}{classes}'
    if own:
        source = dataset.ann_file or dataset._tag_path()
        return {
            'list': f'write one image id a line into {dataset.ann_file}',
            'folder': f'correct data_root or data_prefix in {target}',
            'images': f'add them, or take their lines out of {source}',
            'unreadable': f'get them again, or take their lines out of {source}',
            'tags': f'make {dataset._tag_path()}, see "Your own images" in README.md',
        }.get(kind, 'get or make these files again')
    redone = type(dataset).__name__ == 'SynthVOCDataset'
    if kind in ('unreadable', 'masks', 'sizes') and not redone:
        return f'delete these files, then: {converter(type(dataset).__name__, root)}'
    return converter(type(dataset).__name__, root)


def check_target(target: str, report: Report, *, workers: int) -> None:
    """Check every dataset of a config or of a folder."""
    from wsss_mm.datasets import ImageLabelDataset
    from wsss_mm.datasets.health import check_dataset

    is_folder = os.path.isdir(target)
    if not os.path.exists(target):
        raise InputError(
            f'{target}: no such config file or dataset folder; see configs/ for the '
            'configs we ship'
        )
    if is_folder:
        datasets = datasets_of_folder(target)
    else:
        report.section(target)
        target, datasets = datasets_of_config(target, report)
    absent = set()
    for split, dataset in datasets:
        report.section(f'{split}: {type(dataset).__name__} in {dataset.data_root}')
        if not isinstance(dataset, ImageLabelDataset):
            report.fact('not looked at: no dataset of wsss_mm')
            continue
        root = dataset.data_root or '.'
        if not os.path.isdir(root):
            if root in absent:
                report.fact('the folder is not there, as said above')
            else:
                mend = mend_of('folder', dataset, target, pseudo=False)
                report.wrong(f'no folder {root}', mend)
            absent.add(root)
            continue
        health = check_dataset(dataset, workers=workers, all_masks=not is_folder)
        for fact in health.facts:
            report.fact(fact)
        for kind, messages in health.problems.items():
            more = len(messages) - SHOWN
            lines = '\n    '.join(messages[:SHOWN])
            text = f'{kind}: {len(messages)}\n    {lines}'
            text += f'\n    and {more} more' if more > 0 else ''
            tell = report.note if kind == 'strays' else report.wrong
            pseudo = split == 'train' and not is_folder
            tell(text, mend_of(kind, dataset, target, pseudo=pseudo))


def main(argv: Sequence[str] | None = None) -> int:
    """Check what was asked for; return the exit status."""
    args = parse_args(argv)
    report = Report(quiet=False)
    check_environment(report, tests=args.tests)
    if args.target and report.broken:
        report.section(f'{args.target} is not looked at before the environment works')
    elif args.target:
        from wsss_mm.cli.command_line import readable_errors

        with readable_errors():
            check_target(args.target, report, workers=args.workers)
    report.section(f'{report.broken} broken' if report.broken else 'nothing is broken')
    return int(report.broken > 0)


if __name__ == '__main__':
    sys.exit(main())
