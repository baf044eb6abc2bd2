"""The images that a verb goes through: those of the training list, with their tags."""

import os
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wsss_mm.registry import DATASETS
from wsss_mm.workflow.launch import register_components, renamed, with_tta
from wsss_mm.workflow.nested_datasets import only_dataset


def for_pseudo_labels(
    cfg: Config,
    *,
    split: str | Path | None = None,
    threshold: float | None = None,
    single_scale: bool = False,
) -> Config:
    """Turn a training config into one whose test loop sees images and tags only.

    Args:
        cfg: Config of a CAM network; stays as it is. Images that `indices` choose are
            the only ones.
        split: List file of images, from the current folder or else the data's root; the
            training data's list if None.
        threshold: Background threshold in [0, 1); the config's if None.
        single_scale: Whether to predict one scale without its mirror.

    Returns:
        The changed copy, its file `renamed`. No mask is read through it.

    Raises:
        InputError: If several datasets are joined.
    """
    cfg = renamed(cfg if single_scale else with_tta(cfg), 'cams')
    data = cfg.test_dataloader.dataset = only_dataset(
        cfg.test_dataloader.dataset,
        where='test_dataloader.dataset',
        remedy='pseudo labels are made of one: give a config of each',
    )
    # Without a list the images are those of the tag file.
    data.ann_file = list_file(split) if split else ''
    if not split:
        trained = only_dataset(
            cfg.train_dataloader.dataset,
            where='train_dataloader.dataset',
            remedy='name the list whose pseudo labels are wanted: --split LIST',
        )
        data.ann_file = trained.get('ann_file', '')
        if data.get('indices') is None:
            data.indices = trained.get('indices')
    data.data_prefix.seg_map_path = None
    if threshold is not None:
        network = cfg.model if single_scale else cfg.model.module
        network.test_cfg.background_threshold = threshold
    cfg.test_evaluator = dict(type='Evaluator', metrics=[])
    # Where no bar is shown, the log gives the time left.
    cfg.default_hooks.logger.interval = 1000 if sys.stdout.isatty() else 50
    return cfg


def list_file(split: str | Path) -> str:
    """Give a list as datasets take it: absolute if it is in the current folder."""
    path = Path(split)
    return str(path.resolve()) if path.is_file() else str(split)


def build_dataset(cfg: Config) -> Any:
    """Build the dataset that the test loop of a config goes through."""
    register_components(cfg)
    return DATASETS.build(cfg.test_dataloader.dataset)


def input_folders(cfg: Any) -> list[str]:
    """List the folders that the datasets of a config read, masks included.

    Args:
        cfg: Config, or a part of it.
    """
    if isinstance(cfg, (list, tuple)):
        return [folder for part in cfg for folder in input_folders(part)]
    if not isinstance(cfg, dict):
        return []
    root = cfg.get('data_root') or ''
    own = dict(cfg.get('data_prefix') or {}).values()
    return [
        *(os.path.join(root, folder) for folder in own if isinstance(folder, str)),
        *(folder for part in cfg.values() for folder in input_folders(part)),
    ]


def names_of(dataset: Any) -> list[str]:
    """List the images of a dataset."""
    return [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
