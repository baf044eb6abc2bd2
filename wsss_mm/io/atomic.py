"""Write files whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsss_mm.utils.errors import InputError

# In bytes; a name has 255 at most.
LONGEST_STEM, LONGEST_SUFFIX = 200, 32


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that takes the place of `path` when the block ends.

    The temporary file lies in the same folder under the same extension and
    exists, empty, from the start. If the block raises, it is removed and what
    was at `path` before stays. Missing folders are made.

    Raises:
        ValueError: If the folder cannot be made or written to.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield temporary
        try:
            os.replace(temporary, path)
        except OSError as error:
            raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> str:
    """Name the unfinished file, no longer than file systems allow."""
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ''
    stem = os.fsencode(path.stem)[:LONGEST_STEM].decode('utf-8', 'ignore')
    return f'.{stem}.{secrets.token_hex(6)}{suffix}'


def cannot_write(path: Path, error: OSError) -> InputError:
    """Word the error of a file that cannot be written."""
    return InputError(
        f'cannot write {path}: {error.strerror}; '
        'choose a folder you may write to, on a disk with space left'
    )
