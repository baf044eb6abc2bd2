"""Write files whole or not at all."""

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wsss_mm.utils.errors import InputError

# In bytes; a name has 255 at most.
LONGEST_STEM, LONGEST_SUFFIX = 200, 32
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
# What a file is called until it is whole.
UNFINISHED = re.compile(r'\..+\.[0-9a-f]{12}(\.[^.]+)?')


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that takes the place of `path` when the block ends.

    The temporary file lies in the same folder under the same extension and
    exists, empty, from the start. If the block raises, it is removed and what
    was at `path` before stays. Missing folders are made. What a killed process leaves
    is removed by :func:`remove_unfinished`.

    Raises:
        ValueError: If the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        # Some network drives have no locks; nothing is removed from them then.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if is_about(error, temporary):
            raise cannot_write(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let a full disk's error name the file or folder that was written.

    Writing to a file that is open fails without its name.

    Raises:
        ValueError: If the disk is full or the like, and the error names no file.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS or error.filename is not None:
            raise
        raise cannot_write(Path(path), error) from error


def temporary_name(path: Path) -> str:
    """Name the unfinished file, no longer than file systems allow."""
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ''
    stem = os.fsencode(path.stem)[:LONGEST_STEM].decode('utf-8', 'ignore')
    return f'.{stem}.{secrets.token_hex(6)}{suffix}'


def is_about(error: OSError, path: Path) -> bool:
    """Say whether an error is one of writing a file; a full disk's names no file."""
    if error.filename is None:
        return error.errno in DISK_ERRORS
    return os.fspath(path) in (error.filename, error.filename2)


def remove_unfinished(folder: str | Path, *, below: bool = False) -> None:
    """Remove what killed processes had not finished writing into a folder.

    A file that a process is writing is locked by it, and stays.

    Args:
        folder: Which one; it may be missing.
        below: Whether to look into its sub-folders too.
    """
    for path in Path(folder).glob('**/.*' if below else '.*'):
        if not UNFINISHED.fullmatch(path.name) or path.is_symlink():
            continue
        with suppress(OSError):  # gone, written just now, or of somebody else
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)


def cannot_write(path: Path, error: OSError) -> InputError:
    """Word the error of a file that cannot be written."""
    return InputError(
        f'cannot write {path}: {error.strerror or error}; '
        'choose a folder you may write to, on a disk with space left'
    )
