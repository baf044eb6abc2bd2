"""One process at a time writes into a work folder."""

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mmengine.dist import is_main_process

from wsss_mm.utils.errors import InputError

LOCK = '.wsss.lock'


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keep other processes out of a work folder as long as the block runs.

    The operating system gives the lock back when its owner ends, however it ends. Of
    several processes of one command the first has it.

    Args:
        folder: The work folder; it is made if it is missing.

    Raises:
        InputError: If another process has the lock (the message names it), or the
            folder cannot be written to.
    """
    if not is_main_process():
        yield
        return
    path = Path(folder) / LOCK
    with acquire(path) as handle:
        handle.truncate(0)
        handle.write(json.dumps(owner()))
        handle.flush()
        try:
            yield
        finally:
            # While it is still ours: a file of the next owner is not removed.
            path.unlink(missing_ok=True)


def acquire(path: Path) -> TextIO:
    """Open a lock file that this process alone has.

    Raises:
        InputError: If another process has it, or it cannot be written.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open('a+', encoding='utf-8')
        except OSError as error:
            raise InputError(
                f'{path.parent}: cannot be written to ({error.strerror}); choose '
                'another folder'
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            said = describe(handle.read())
            handle.close()
            raise InputError(
                f'{path.parent}: another command works in this folder ({said}); wait '
                'for it, end it, or choose another folder'
            ) from error
        # The owner before may have removed the file after it was opened here.
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()


def owner() -> dict[str, object]:
    """Describe this process for those that find its lock."""
    return dict(
        process=os.getpid(),
        host=socket.gethostname(),
        started=time.strftime('%Y-%m-%d %H:%M:%S'),
        command=sys.argv,
    )


def describe(text: str) -> str:
    """Write what a lock file says of its owner in a few words."""
    try:
        found = json.loads(text)
        command = ' '.join(map(str, found['command']))
        return (
            f'process {found["process"]} on {found["host"]} since '
            f'{found["started"]}: {command}'
        )
    except (ValueError, KeyError, TypeError):
        return 'its lock does not say which'
