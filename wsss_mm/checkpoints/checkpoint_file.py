"""Checkpoint files: read without running code, written whole, found in a folder."""

import errno
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging.history_buffer import HistoryBuffer

from wsss_mm.io.atomic import atomic_write, cannot_write
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER

HISTORY_METHODS = ('min', 'max', 'current', 'mean')
CHECKPOINT = re.compile(r'(?!best_)[^.-][^-]*_(\d+)\.pth')
POINTER = 'last_checkpoint'
# MMEngine puts `time` beside it, in local time and whole seconds.
SAVED_AT = 'saved_at'
TORCH_WRITER = 'inline_container'
# Other code may replace torch.load, as weights_only_loads() does.
LOAD = torch.load


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
            raise InputError(f'it asks for {owner!r}.{name}')
        return getattr(owner, name)

    history_method.__module__ = 'builtins'
    history_method.__name__ = history_method.__qualname__ = 'getattr'
    core = np._core if hasattr(np, '_core') else np.core
    kinds = [type(np.dtype(kind)) for kind in ('float64', 'int64', 'uint32')]
    scalars = [core.multiarray._reconstruct, core.multiarray.scalar]
    arrays = [np.ndarray, np.dtype, slice, *scalars, *kinds]
    # MMEngine allows the real getattr around loads of its own.
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    kept = [entry for entry in before if entry is not getattr]
    torch.serialization.add_safe_globals(
        [*kept, HistoryBuffer, history_method, *arrays]
    )
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def read_checkpoint(
    path: str | Path, *, map_location: Any = 'cpu', lazily: bool = False
) -> Any:
    """Read a checkpoint without executing anything in it.

    Args:
        path: Checkpoint file.
        map_location: Device of the tensors, as of ``torch.load``.
        lazily: Leave the tensors in the file until they are used; a damaged tensor is
            not noticed.

    Raises:
        ValueError: If the file is missing or damaged, or holds more than tensors and
            plain values.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f'{path}: no such checkpoint')
    try:
        archive = zipfile.is_zipfile(path)
        if archive:
            check_archive(path, contents=not lazily)
        with trusted_log_types():
            return LOAD(
                str(path),  # torch 2.1 maps no other
                map_location=map_location,
                weights_only=True,
                mmap=lazily and archive,
            )
    except Exception as error:  # a damaged file can raise anything
        raise unreadable(path, error) from error


def unreadable(path: str | Path, error: Exception) -> InputError:
    """Word the error of a file that torch cannot load, or not safely."""
    reason = str(error).split('\n')[0] or type(error).__name__
    return InputError(
        f'{path}: not a checkpoint that can be read safely ({reason}); expected '
        'a whole file that torch.save wrote with tensors and plain values. Of our own '
        'runs take the published <name>-<hash>.pth'
    )


def check_archive(path: Path, *, contents: bool) -> None:
    """Check sizes and, if asked for, every byte: torch reads without checksums."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise InputError('it is compressed, which torch.save never does')
        damaged = archive.testzip() if contents else None
    if damaged is not None:
        raise InputError(f'the part {damaged} is damaged')


@contextmanager
def whole_checkpoint(path: str | Path) -> Iterator[Path]:
    """Give a temporary path for a checkpoint that takes its place once it is whole.

    What the block wrote goes to the disk and is read back before it replaces what was
    at `path`. If anything fails, that stays.

    Raises:
        ValueError: If it cannot be written, or not be read back.
    """
    path = Path(path)
    try:
        with atomic_write(path) as part:
            yield part
            sync(part)
            try:
                read_checkpoint(part)
            except InputError as error:
                raise InputError(
                    f'{path}: what was written could not be read back ({error}); the '
                    'earlier checkpoint is kept'
                ) from error
        sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    except RuntimeError as error:
        if TORCH_WRITER not in str(error):
            raise
        # torch does not say why its own writer failed.
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise cannot_write(path, full) from error


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of files, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def point_to(folder: Path, checkpoint: Path) -> None:
    """Note the latest checkpoint where MMEngine looks for it.

    Args:
        folder: Work folder.
        checkpoint: Its latest checkpoint.
    """
    pointer = folder / POINTER
    if pointer.is_file() and pointer.read_text() == str(checkpoint):
        return
    with atomic_write(pointer) as part:
        part.write_text(str(checkpoint))


def checkpoints_in(folder: str | Path) -> list[Path]:
    """List what may be resumed from in a work folder; not what was published."""
    return sorted(
        path for path in Path(folder).glob('*.pth') if CHECKPOINT.fullmatch(path.name)
    )


def newest_whole(folder: str | Path) -> Path | None:
    """Find the newest checkpoint of a work folder that is whole.

    It goes by what is in the files: ``last_checkpoint`` names a file of another folder
    after a move, and a copy has other times.
    """
    dated = []
    for path in checkpoints_in(folder):
        try:
            dated.append((age(path), path))
        except InputError as error:
            LOGGER.warning(f'{error}. It is left out')
    for _, path in sorted(dated, reverse=True):
        try:
            read_checkpoint(path)
        except InputError as error:
            LOGGER.warning(f'{error}. It is left out')
            continue
        return path
    return None


def age(path: Path) -> tuple[float, int]:
    """Tell when a checkpoint was saved, in seconds of the epoch, and its iteration."""
    content = read_checkpoint(path, lazily=True)
    meta = content.get('meta') if isinstance(content, dict) else None
    saved = meta.get(SAVED_AT) if isinstance(meta, dict) else None
    found = CHECKPOINT.fullmatch(path.name)
    number = int(found.group(1)) if found else 0
    return (
        float(saved) if isinstance(saved, (int, float)) else path.stat().st_mtime,
        number,
    )
