"""What the command-line tools share to run a config: options, splits, launchers."""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
from mmengine.utils.dl_utils import set_multi_processing

import wsss_mm.engine  # noqa: F401  (a config may be based on a YAML file)
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_check import check_config, check_options
from wsss_mm.workflow.config_files import find_config
from wsss_mm.workflow.nested_datasets import plain_datasets

METRICS_OF_MASKS = {'VOCIoUMetric', 'IoUMetric'}


def load_config(
    path: str,
    options: Mapping[str, Any] | None = None,
    *,
    work_dir: str | Path | None = None,
) -> Config:
    """Read a config, apply ``--cfg-options`` and settle the work folder.

    Args:
        path: Of a file, or the name of a config that we ship.
        options: Values to override, by dotted key.
        work_dir: Folder of the run; ``work_dirs/<config>`` if neither this nor the
            config has one.

    Raises:
        InputError: If the file does not exist or is not a config, an option does not
            fit it, or nothing reads a key of either.
    """
    path = str(find_config(path))
    if Path(path).suffix != '.py':
        raise InputError(f'{path}: not a config; a config is a .py file')
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise InputError(f'{path}: no config that Python can read ({error})') from error
    except InputError as error:  # of a file that it is based on
        raise InputError(f'{path}: {error}') from error
    note_recipe_batch(cfg)
    whole = 'model' in cfg and 'custom_imports' in cfg
    if whole:
        # What is registered says which keys it reads.
        register_components(cfg)
        check_config(cfg, path)
    try:
        if whole:
            check_options(cfg, options or {})
        cfg.merge_from_dict(dict(options or {}))
    except (TypeError, KeyError, IndexError) as error:
        raise InputError(
            f'{path}: an option does not fit it ({error}); entries of a list go by '
            'their number, as in test_evaluator.0.threshold=0.3'
        ) from error
    keep_no_workers(cfg)
    find_start_weights(cfg, Path(path))
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    return cfg


def keep_no_workers(cfg: Config) -> None:
    """Clear ``persistent_workers``, which torch refuses, of loaders without workers."""
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is not None and loader.get('num_workers') == 0:
            loader['persistent_workers'] = False


def find_start_weights(cfg: Config, path: Path) -> None:
    """Let weights that a config names be found from any folder.

    A path that leads nowhere from the current folder is tried from the folders that
    hold the config, the innermost first.

    Args:
        cfg: The config; its ``load_from`` and ``init_cfg`` may become absolute.
        path: Its file.
    """
    settings: list[tuple[Any, str]] = [(cfg, 'load_from')]
    settings += [(one, 'checkpoint') for one in initialisations(cfg.get('model'))]
    for owner, key in settings:
        name = owner.get(key)
        if not isinstance(name, str) or '://' in name or Path(name).exists():
            continue
        for folder in path.resolve().parents:
            if (folder / name).is_file():
                owner[key] = str(folder / name)
                break


def initialisations(value: Any) -> Iterator[Any]:
    """List the dicts of a model that start a part of it from a file."""
    if isinstance(value, dict):
        if value.get('type') == 'Pretrained' and 'checkpoint' in value:
            yield value
        for part in value.values():
            yield from initialisations(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from initialisations(part)


def note_recipe_batch(cfg: Config) -> None:
    """Note the batch that a recipe's learning rate belongs to: its own, on one GPU.

    ``auto_scale_lr.enable=True`` then scales the rate to the images of a step, whatever
    the options make of ``batch_size`` and however many processes train.
    """
    batch = (cfg.get('train_dataloader') or {}).get('batch_size')
    if batch is not None and cfg.get('auto_scale_lr') is None:
        cfg.auto_scale_lr = dict(enable=False, base_batch_size=batch)


def register_components(cfg: Config) -> None:
    """Import what a config needs and make its registries the current ones."""
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.get('default_scope', 'mmseg'))


def has_masks(cfg: Config, split: str) -> bool:
    """Tell whether true masks are configured for a split ('val' or 'test')."""
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        return False
    prefixes = [one.get('data_prefix') for one in plain_datasets(loader.dataset)]
    return all(one is None or one.get('seg_map_path') is not None for one in prefixes)


def with_tta(cfg: Config) -> Config:
    """Return a config that tests several scales and mirrors, `renamed`.

    Raises:
        ValueError: If the config has no views for tests.
    """
    if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
        raise InputError(
            f'{cfg.filename}: no tta_pipeline and tta_model; predict a single scale'
        )
    cfg = renamed(cfg, 'tta')
    for data in plain_datasets(cfg.test_dataloader.dataset):
        data.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)
    return cfg


def renamed(cfg: Config, suffix: str) -> Config:
    """Return a copy of a config as if its file were called `<name>_<suffix>.py`.

    MMEngine writes the config of every run into the work folder under the name of its
    file. What training left there must stay: `mmseg.apis.init_model` reads it.
    """
    name = None
    if cfg.filename is not None:
        path = Path(cfg.filename)
        name = str(path.with_name(f'{path.stem}_{suffix}{path.suffix}'))
    return Config(cfg.to_dict(), cfg_text=cfg.text, filename=name)


def drop_metrics_of_masks(cfg: Config) -> None:
    """Take out the metrics that need true masks where none are configured.

    A split whose ``data_prefix.seg_map_path`` is None keeps its other metrics.
    Validation without a metric is left out, testing still predicts.
    """
    for split in ('val', 'test'):
        if cfg.get(f'{split}_dataloader') is None or has_masks(cfg, split):
            continue
        evaluator = cfg.get(f'{split}_evaluator') or []
        metrics = evaluator if isinstance(evaluator, list) else [evaluator]
        kept = [m for m in metrics if m['type'] not in METRICS_OF_MASKS]
        if len(kept) < len(metrics):
            print(f'no true masks are configured for {split}: mIoU is not computed')  # noqa: T201
        if kept or split == 'test':
            cfg[f'{split}_evaluator'] = kept or dict(type='Evaluator', metrics=[])
            continue
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'val_{key}'] = None


def prepare_launcher(cfg: Config, launcher: str, *, wait_seconds: int = 1800) -> None:
    """Join the processes of a run, through NCCL on GPUs and else through gloo.

    MMEngine's runner would do it when it is built, but needs a GPU per process, and a
    command that finds its CAMs made builds none. The runner keeps what it finds.

    Args:
        cfg: Config as it will be run; gains what several processes need.
        launcher: ``none`` for a single process, or one of MMEngine's.
        wait_seconds: How long one process waits for another, unless the config's
            ``env_cfg.dist_cfg`` has a ``timeout``.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    settings = dict(timeout=wait_seconds) | (cfg.env_cfg.get('dist_cfg') or {})
    # One verb may follow another in the same processes.
    joined = torch.distributed.is_available() and torch.distributed.is_initialized()
    if launcher != 'pytorch' or torch.cuda.is_available():
        set_multi_processing(**cfg.env_cfg.get('mp_cfg', {}), distributed=True)
        if not joined:
            init_dist(launcher, **settings)
        return
    if not joined:
        timeout = timedelta(seconds=settings['timeout'])
        torch.distributed.init_process_group('gloo', timeout=timeout)
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    cfg.env_cfg.dist_cfg = dict(backend='gloo')
    os.environ.setdefault('OMP_NUM_THREADS', '1')


def is_cam_network(cfg: Config) -> bool:
    """Say whether a config is that of a CAM network, not of a segmenter."""
    return 'normalization' in (cfg.model.get('test_cfg') or {})
