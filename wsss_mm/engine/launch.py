"""What the command-line tools share: configs, launchers, weights, error messages."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed
from mmengine.config import Config, DictAction
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import find_latest_checkpoint
from torch import nn

HISTORY_METHODS = ('min', 'max', 'current', 'mean')
METRICS_OF_MASKS = {'VOCIoUMetric', 'IoUMetric'}


class OptionsAction(DictAction):
    """Read ``key=value`` pairs; an argument of another form is a usage error."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the pairs as a dict."""
        bad = [pair for pair in values if '=' not in pair]
        if bad:
            raise argparse.ArgumentError(self, f'{bad[0]!r} is no key=value')
        super().__call__(parser, namespace, values, option_string)


def parse_options(pairs: Sequence[str]) -> dict:
    """Read ``key=value`` pairs as the tools' ``--cfg-options`` does.

    Raises:
        ValueError: If an argument has another form.
    """
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('options', nargs='*', action=OptionsAction)
    try:
        return parser.parse_args(list(pairs)).options or {}
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from error


@contextmanager
def readable_errors() -> Iterator[None]:
    """End a tool with a plain message, exit status 2, when its input is at fault."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        # A data-loader worker hands over its whole traceback as the message.
        message = str(error).rstrip()
        marker = f'\n{type(error).__name__}: '
        print(f'error: {message.rpartition(marker)[2]}', file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


def load_config(
    path: str, options: dict | None = None, *, work_dir: str | None = None
) -> Config:
    """Read a config, apply ``--cfg-options`` and settle the work folder.

    Raises:
        ValueError: If the file does not exist or is no config, or an option does
            not fit it.
    """
    if not Path(path).is_file():
        raise ValueError(f'{path}: no such config file; see configs/ for those we ship')
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise ValueError(f'{path}: no config that Python can read ({error})') from error
    try:
        cfg.merge_from_dict(options or {})
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(
            f'{path}: an option does not fit it ({error}); entries of a list go by '
            'their number, as in test_evaluator.0.threshold=0.3'
        ) from error
    place_seed_scores(cfg)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    return cfg


def place_seed_scores(cfg: Config) -> None:
    """Hand the folder in ``seed_scores`` to the transform that reads from it.

    Config files copy such a value while they are read, before options are applied.
    """
    if cfg.get('seed_scores') is None:
        return
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'LoadSeedScores':
            step.folder = cfg.seed_scores


def start_from(cfg: Config, *, resume: bool) -> None:
    """Settle what a training starts from.

    A training that is resumed goes on from its own latest checkpoint; MMEngine would
    take ``load_from`` for the training to go on with. Without a checkpoint it starts
    anew.

    Raises:
        ValueError: If weights that the config starts from are missing.
    """
    latest = find_latest_checkpoint(cfg.work_dir) if resume else None
    cfg.resume = latest is not None and Path(latest).is_file()
    if cfg.resume:
        cfg.load_from = None
        return
    init_cfg = cfg.model.get('backbone', {}).get('init_cfg') or {}
    pretrained = init_cfg.get('checkpoint') if isinstance(init_cfg, dict) else None
    for key, path in (
        ('load_from', cfg.get('load_from')),
        ('model.backbone.init_cfg.checkpoint', pretrained),
    ):
        if path and '://' not in path and not Path(path).is_file():
            raise ValueError(
                f'{path}: no such file, but the training starts from its weights '
                f'({key}); the comments of the config say where they come from. '
                f'--cfg-options {key}=... names another file'
            )


def start_from_nothing(cfg: Config) -> None:
    """Keep a test from loading what its config's training starts from.

    MMEngine would load ``load_from`` over the weights that are to be tested.
    """
    cfg.load_from = None
    cfg.resume = False


def has_masks(cfg: Config, split: str) -> bool:
    """Tell whether true masks are configured for a split ('val' or 'test')."""
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        return False
    prefix = loader.dataset.get('data_prefix')
    return prefix is None or prefix.get('seg_map_path') is not None


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


def prepare_launcher(cfg: Config, launcher: str) -> None:
    """Set up distributed running, on GPUs as MMEngine does and else on CPU.

    MMEngine's own launcher needs a GPU per process. Without one the gloo group is
    opened here first, which MMEngine then keeps.
    """
    cfg.launcher = launcher
    if launcher != 'pytorch' or torch.cuda.is_available():
        return
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    cfg.env_cfg.dist_cfg = dict(backend='gloo')
    os.environ.setdefault('OMP_NUM_THREADS', '1')


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the weights of a checkpoint without executing anything in it.

    Args:
        path: Checkpoint file, or the work folder of a finished training.

    Raises:
        ValueError: If the file is missing, or holds more than weights and plain
            values.
    """
    if Path(path).is_dir():
        path = latest_weights(path)
    if not Path(path).is_file():
        raise ValueError(f'{path}: no such checkpoint')
    try:
        with trusted_log_types():
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        reason = str(error).split('\n')[0]
        raise ValueError(
            f'{path}: not a checkpoint that can be read safely ({reason}); expected '
            'a file that torch.save wrote with tensors and plain values. Of our own '
            'runs take the published <name>-<hash>.pth'
        ) from error
    weights = checkpoint
    if isinstance(checkpoint, dict):
        weights = checkpoint.get('state_dict', checkpoint)
    if (
        not isinstance(weights, dict)
        or not weights
        or not all(isinstance(v, torch.Tensor) for v in weights.values())
    ):
        raise ValueError(f'{path}: holds no state dict of tensors')
    return weights


@contextmanager
def trusted_log_types() -> Iterator[None]:
    """Allow the log history that MMEngine stores beside weights (torch >= 2.5)."""
    if not hasattr(torch.serialization, 'safe_globals'):
        yield
        return
    import numpy as np

    # The log pickles its methods by getattr, which would hand out any object of the
    # process: allow it for those methods alone.
    def history_method(owner: type, name: str) -> object:
        if owner is not HistoryBuffer or name not in HISTORY_METHODS:
            raise ValueError(f'it asks for {owner!r}.{name}')
        return getattr(owner, name)

    history_method.__module__ = 'builtins'
    history_method.__name__ = history_method.__qualname__ = 'getattr'
    core = np._core if hasattr(np, '_core') else np.core
    kinds = [type(np.dtype(kind)) for kind in ('float64', 'int64', 'uint32')]
    scalars = [core.multiarray._reconstruct, core.multiarray.scalar]
    arrays = [np.ndarray, np.dtype, slice, *scalars, *kinds]
    allowed = [HistoryBuffer, history_method, *arrays]
    with torch.serialization.safe_globals(allowed):
        yield


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a checkpoint that must fit the model exactly.

    Raises:
        ValueError: If names or shapes differ: the checkpoint is another config's.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = cast('nn.Module', model.module)
    weights = read_state_dict(path)
    own = model.state_dict()
    findings = [f'{k}: missing' for k in own.keys() - weights.keys()]
    findings += [f'{k}: unexpected' for k in weights.keys() - own.keys()]
    findings += [
        f'{k}: {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}'
        for k in own.keys() & weights.keys()
        if own[k].shape != weights[k].shape
    ]
    if findings:
        shown = '\n  '.join(sorted(findings)[:8])
        raise ValueError(
            f'{path}: does not fit this config ({len(findings)} of {len(own)} '
            'tensors differ). Is it the checkpoint of another config or class '
            f'count?\n  {shown}'
        )
    model.load_state_dict(weights)


def latest_weights(work_dir: str | Path) -> Path:
    """Find the weights that a finished training left in its work folder.

    Raises:
        ValueError: If there are none.
    """
    latest = find_latest_checkpoint(str(work_dir))
    if latest is None or not Path(latest).is_file():
        raise ValueError(
            f'{work_dir}: no checkpoint; train into this folder first (tools/train.py)'
        )
    written = Path(latest).stat().st_mtime_ns
    # An older one is that of an earlier training into the same folder.
    published = [
        path
        for path in Path(work_dir).glob(f'{Path(latest).stem}-*.pth')
        if path.stat().st_mtime_ns >= written
    ]
    return max(
        published, key=lambda path: path.stat().st_mtime_ns, default=Path(latest)
    )
