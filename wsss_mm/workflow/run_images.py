"""The images of a run: where their CAMs, masks, predictions and true masks lie."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.registry import DATASETS
from wsss_mm.visualization import ImageFiles
from wsss_mm.visualization.gallery import PREDICTION
from wsss_mm.workflow.folders import mask_folder
from wsss_mm.workflow.launch import load_config, register_components
from wsss_mm.workflow.nested_datasets import plain_datasets

TRAINING, TEST = 'training', 'test'
RAW = 'raw mask'


def config_of(folder: Path, suffix: str = '') -> Config | None:
    """Read the config that a command dumped into a folder.

    Args:
        folder: Where it worked.
        suffix: End of the name without extension. Without one, the config of a
            training: those of later commands have names of their own.
    """
    for file in sorted(folder.glob('*.py')):
        later = file.stem.endswith(('_cams', '_tta'))
        if file.stem.endswith(suffix) if suffix else not later:
            return load_config(str(file))
    return None


def build_list(cfg: Config, *, training: bool = False) -> Any:
    """Build a dataset for its images and tags alone.

    Args:
        cfg: Config of a network.
        training: Whether to list what it is trained on instead of what it is tested on.
    """
    register_components(cfg)
    options = dict(plain_datasets(cfg.test_dataloader.dataset)[0], pipeline=[])
    if training and cfg.get('train_dataloader') is not None:
        # As `wsss cams` does: the test data's images and tags, the training's list.
        trained = plain_datasets(cfg.train_dataloader.dataset)[0]
        options['ann_file'] = str(trained.get('ann_file', ''))
    options['data_prefix'] = dict(options['data_prefix'], seg_map_path=None)
    return DATASETS.build(options)


def truth_folder(cfg: Config, split: str) -> Path | None:
    """Locate the true masks that are configured for a split ('val' or 'test')."""
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        return None
    prefix = loader.dataset.get('data_prefix') or {}
    if prefix.get('seg_map_path') is None:
        return None
    root = loader.dataset.get('data_root') or ''
    return Path(root, prefix['seg_map_path'])


def images_of_run(
    folder: Path, chains: Sequence[str]
) -> tuple[list[ImageFiles], tuple[str, ...]]:
    """List the images that a run made CAMs or predictions of.

    Args:
        folder: Work folder of `wsss run`.
        chains: Names of the chains of refiners whose masks may lie there.

    Returns:
        The files of each image, and the names of all classes; both empty where the
        folder has no CAMs.

    Raises:
        InputError: If a config or list of the run cannot be read any more.
    """
    # A method without training has no folder of the network.
    cfg = config_of(folder / 'cam') or config_of(folder, '_cams')
    if cfg is None:
        return [], ()
    dataset = build_list(cfg, training=True)
    masks = {RAW: folder / MASK_FOLDER}
    for chain in chains:
        masks[f'mask refined by {chain}'] = folder / mask_folder(chain)
    truth = truth_folder(cfg, 'val')
    found: dict[str, ImageFiles] = {}
    for info in map(dataset.get_data_info, range(len(dataset))):
        name = info['img_id']
        cam = folder / CAM_FOLDER / f'{name}.npz'
        if cam.is_file():
            found[name] = ImageFiles(
                name=name,
                image=Path(info['img_path']),
                tags=tags_of(info),
                cams={'CAM': cam},
                masks=existing(masks, name),
                truth=existing_file(truth, name),
                group=TRAINING,
            )
    add_predictions(found, folder)
    return list(found.values()), tuple(dataset.metainfo['classes'])


def add_predictions(found: dict[str, ImageFiles], folder: Path) -> None:
    """Add what the segmenter of a run predicts, of known images and of others."""
    cfg = config_of(folder / 'segmenter')
    masks = folder / 'predictions' / MASK_FOLDER
    if cfg is None or cfg.get('test_dataloader') is None or not masks.is_dir():
        return
    truth = truth_folder(cfg, 'test')
    dataset = build_list(cfg)
    for info in map(dataset.get_data_info, range(len(dataset))):
        name, file = info['img_id'], masks / f'{info["img_id"]}.png'
        if not file.is_file():
            continue
        known = found.get(name)
        if known is not None and known.image == Path(info['img_path']):
            found[name] = replace(known, masks={**known.masks, PREDICTION: file})
            continue
        key = name if known is None else f'{TEST}: {name}'
        found[key] = ImageFiles(
            name=name,
            image=Path(info['img_path']),
            tags=tags_of(info),
            masks={PREDICTION: file},
            truth=existing_file(truth, name),
            group=TEST,
        )


def tags_of(info: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Give the indices of an image's tags, None if it has no tags."""
    labels = info.get('image_labels')
    if labels is None:
        return None
    return tuple(int(i) for i in np.flatnonzero(np.asarray(labels) > 0))


def existing(masks: Mapping[str, Path], name: str) -> dict[str, Path]:
    """Name the mask files of an image that are there."""
    files = {caption: folder / f'{name}.png' for caption, folder in masks.items()}
    return {caption: file for caption, file in files.items() if file.is_file()}


def existing_file(folder: Path | None, name: str) -> Path | None:
    """Name the true mask of an image if it is there."""
    if folder is None:
        return None
    file = folder / f'{name}.png'
    return file if file.is_file() else None
