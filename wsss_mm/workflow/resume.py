"""What a training starts from: its own latest checkpoint, other weights, or nothing."""

from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from wsss_mm.checkpoints.checkpoint_file import (
    POINTER,
    checkpoints_in,
    newest_whole,
    point_to,
)
from wsss_mm.io.atomic import remove_unfinished
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.fixes import where_weights_are_from
from wsss_mm.workflow.weights import start_weights

STOCK_HOOKS = ('CheckpointHook', 'mmengine.CheckpointHook')


def start_from(cfg: Config, *, resume: bool, or_start: bool = False) -> None:
    """Settle what a training starts from.

    A training that is resumed goes on from the newest whole checkpoint in its work
    folder, wherever that was moved; MMEngine would take ``load_from`` for the training
    to go on with. In a folder without any trace of a training it starts anew.

    Args:
        cfg: Config of the training; says afterwards what to start from.
        resume: Whether to go on from the latest checkpoint.
        or_start: Whether to start anew where an earlier try was cut off before its
            first checkpoint; it has left a log then.

    Raises:
        ValueError: If there is nothing to resume from in a folder that a training has
            used, or weights that the config starts from are missing.
    """
    save_atomically(cfg)
    folder = Path(cfg.work_dir)
    if is_main_process():
        remove_unfinished(folder)
    latest = newest_whole(folder) if resume else None
    cfg.resume = latest is not None
    if latest is not None:
        # MMEngine resumes from the file that is noted there.
        point_to(folder, latest)
        cfg.load_from = None
        LOGGER.info(f'resuming from {latest}')
        return
    if resume:
        refuse_to_start_again(folder, or_start=or_start)
    check_start_weights(cfg)


def save_atomically(cfg: Config) -> None:
    """Let a config that names MMEngine's checkpoint hook take the one that is safe."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    if hook is not None and hook.get('type') in STOCK_HOOKS:
        hook.type = 'mmseg.AtomicCheckpointHook'


def refuse_to_start_again(folder: Path, *, or_start: bool) -> None:
    """Stop a resumed training from starting at 0 where an earlier one has got further.

    Raises:
        ValueError: If the folder holds checkpoints, or a log unless ``or_start``.
    """
    damaged = ', '.join(path.name for path in checkpoints_in(folder))
    if damaged:
        raise InputError(
            f'{folder}: nothing to resume from, no checkpoint is whole ({damaged}); '
            'put a whole copy there, or train anew without --resume'
        )
    logs = [*folder.glob('*.log'), *folder.glob('*/*.log'), folder / POINTER]
    found = next((path for path in logs if path.is_file()), None)
    if found is None:
        return
    if not or_start:
        raise InputError(
            f'{folder}: nothing to resume from, although a training was here ({found}) '
            'and left no checkpoint; train anew without --resume, or into another '
            'folder with --work-dir'
        )
    LOGGER.warning(
        f'{folder}: an earlier training was cut off before its first checkpoint '
        f'({found}); starting anew'
    )


def check_start_weights(cfg: Config, *, what: str = 'training') -> None:
    """Check that the weights are there which a new training starts from.

    Args:
        cfg: Of the network.
        what: What starts from them: a training, or a network that needs none.

    Raises:
        InputError: If a file is missing.
    """
    files = {'load_from': cfg.get('load_from'), **start_weights(cfg)}
    for key, path in files.items():
        if path and '://' not in path and not Path(path).is_file():
            raise InputError(
                f'{path}: no such file, but the {what} starts from its weights '
                f'({key}); {where_weights_are_from(path)}. '
                f'--cfg-options {key}=... names another file'
            )


def start_from_nothing(cfg: Config) -> None:
    """Keep a test from loading what its config's training starts from.

    MMEngine would load ``load_from`` over the weights that are to be tested.
    """
    cfg.load_from = None
    cfg.resume = False
