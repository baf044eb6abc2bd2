"""Masks from annotations that a person corrected: COCO, CVAT for images, or labelme.

`wsss predict --formats` writes such annotations; the masks of `wsss masks` train a
segmenter as `train_dataloader.dataset.data_prefix.seg_map_path`, or serve to evaluate.
"""

import argparse
from pathlib import Path

from wsss_mm.apis.export import import_masks
from wsss_mm.datasets.image_label_dataset import check_classes
from wsss_mm.registry import DATASETS
from wsss_mm.workflow.launch import load_config, register_components

DESCRIPTION = 'masks from annotations that a person corrected'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help='config whose classes the annotations have')
    parser.add_argument(
        'annotations', type=Path, help='COCO .json, CVAT .xml, or a labelme folder'
    )
    parser.add_argument('--out', type=Path, default=Path('masks'), help='folder')


def run(args: argparse.Namespace) -> None:
    """Write the masks."""
    cfg = load_config(args.config)
    register_components(cfg)
    options = dict(cfg.test_dataloader.dataset, pipeline=[], lazy_init=True)
    meta = DATASETS.build(options).metainfo
    check_classes(meta.get('classes'))
    count = import_masks(
        args.annotations,
        args.out,
        class_names=meta['classes'],
        palette=meta['palette'],
    )
    print(f'wrote {count} masks to {args.out}')
