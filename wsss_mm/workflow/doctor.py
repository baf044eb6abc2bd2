"""Whether a dataset, or all that a config names, is fit to work with."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from wsss_mm.datasets import (
    COCOImageLabelDataset,
    ImageLabelDataset,
    SynthVOCDataset,
    VOCImageLabelDataset,
)
from wsss_mm.datasets.health import check_dataset
from wsss_mm.datasets.synth_voc import MANIFEST
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_files import find_config
from wsss_mm.workflow.environment import Report
from wsss_mm.workflow.fixes import (
    cam_config,
    converter,
    fix_of_data,
    fix_of_weights,
)
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.nested_datasets import plain_datasets
from wsss_mm.workflow.resume import check_start_weights

SHOWN = 3
HARMLESS = ('absent', 'links', 'strays')


def datasets_of_config(path: str, report: Report) -> tuple[str, list[tuple[str, Any]]]:
    """Build the datasets of a config, unread, and check what else it names."""
    cfg = load_config(path)
    if 'model' not in cfg or 'custom_imports' not in cfg:
        raise InputError(
            f'{path} is a part of a config; give a whole one, one of '
            'configs/<method>/ or your own'
        )
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    try:
        check_start_weights(cfg)
    except InputError as error:
        report.wrong(str(error), fix_of_weights(str(error).partition(': ')[0]))
    check_seed_scores(cfg, path, report)
    built: dict[str, tuple[str, Any]] = {}
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        for data in plain_datasets(loader.dataset):
            options = dict(data, pipeline=[], lazy_init=True)
            built.setdefault(str(options), (split, DATASETS.build(options)))
    head = cfg.model.get('decode_head') or {}
    for _, dataset in built.values():
        wanted, stated = len(dataset.metainfo['classes']), head.get('num_classes')
        if stated not in (None, wanted):
            report.wrong(
                f'{path}: the head has num_classes={stated}, the dataset {wanted}',
                f'write model = dict(decode_head=dict(num_classes={wanted}))',
            )
            break
    return path, list(built.values())


def check_seed_scores(cfg: Config, path: str, report: Report) -> None:
    """Check that what an affinity network learns from was made."""
    loader = cfg.get('train_dataloader') or dict(dataset={})
    data = plain_datasets(loader['dataset'])[0]
    name = (data.get('data_prefix') or {}).get('seed_scores_path')
    folder = os.path.join(data.get('data_root') or '', name or '')
    if name is not None and not os.path.isdir(folder):
        report.wrong(
            f'no folder of seed scores {folder}',
            f'wsss run {cam_config(path)}',
        )


def datasets_of_folder(path: str) -> list[tuple[str, Any]]:
    """Build a dataset, unread, for each list of a folder in the layout of VOC."""
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
        command = converter(kind.__name__, path)
        raise InputError(f'{root} holds no {lists[0].parent}/*.txt; run {command}')
    table = (root / 'image_labels.csv').is_file()
    augmented = (root / 'SegmentationClassAug').is_dir()
    masks = 'SegmentationClassAug' if augmented else 'SegmentationClass'
    options: dict[str, Any] = dict(
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


def check_target(target: str, report: Report, *, workers: int) -> None:
    """Check every dataset of a config or of a folder.

    Args:
        target: A config's path or name, or a folder in the layout of PASCAL VOC.
        report: Receives the findings.
        workers: Processes that read the files.

    Raises:
        InputError: If the target is neither.
    """
    is_folder = os.path.isdir(target)
    if is_folder:
        datasets = datasets_of_folder(target)
    else:
        target = str(find_config(target))
        report.section(target)
        target, datasets = datasets_of_config(target, report)
    absent: set[str] = set()
    for split, dataset in datasets:
        report.section(f'{split}: {type(dataset).__name__} in {dataset.data_root}')
        if not isinstance(dataset, ImageLabelDataset):
            report.fact('not looked at: not a dataset of wsss_mm')
            continue
        root = dataset.data_root or '.'
        if os.path.isdir(root):
            pseudo = split == 'train' and not is_folder
            report_health(
                dataset,
                target,
                report,
                workers=workers,
                pseudo=pseudo,
                beside=[one for _, one in datasets],
            )
            continue
        if root in absent:
            report.fact('the folder is not there, as said above')
        else:
            report.wrong(
                f'no folder {root}',
                fix_of_data('folder', dataset, target, pseudo=False),
            )
        absent.add(root)


def report_health(
    dataset: ImageLabelDataset,
    target: str,
    report: Report,
    *,
    workers: int,
    pseudo: bool,
    beside: Sequence[Any],
) -> None:
    """Read a dataset and report what is wrong with it; its masks may be ours."""
    is_folder = os.path.isdir(target)
    others = [one for one in beside if isinstance(one, ImageLabelDataset)]
    health = check_dataset(
        dataset, workers=workers, all_masks=not is_folder, beside=others
    )
    for fact in health.facts:
        report.fact(fact)
    for kind, messages in health.problems.items():
        more = len(messages) - SHOWN
        lines = '\n    '.join(messages[:SHOWN])
        text = f'{kind}: {len(messages)}\n    {lines}'
        text += f'\n    and {more} more' if more > 0 else ''
        show = report.note if kind in HARMLESS else report.wrong
        show(text, fix_of_data(kind, dataset, target, pseudo=pseudo))
