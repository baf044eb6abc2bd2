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

from wsss_mm.io.atomic import remove_unfinished
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.child import is_alive, started_by

LOCK = '.wsss.lock'
MOST_CHARACTERS = 2**16
# Seconds that a stage has to end after the command that started it.
DYING = 20.0
# Locks that this process has; a fork of it must not keep them when it is killed.
HELD: set[TextIO] = set()


def close_in_fork() -> None:
    """Let go of the locks that a fork has inherited; the parent keeps them."""
    for handle in HELD:
        handle.close()
    HELD.clear()


os.register_at_fork(after_in_child=close_in_fork)


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
        HELD.add(handle)
        try:
            handle.truncate(0)
            handle.write(json.dumps(owner()))
            handle.flush()
            remove_unfinished(folder)
            yield
        finally:
            # While it is still ours: a file of the next owner is not removed.
            path.unlink(missing_ok=True)
            HELD.discard(handle)


def acquire(path: Path) -> TextIO:
    """Open a lock file that this process alone has.

    The stage of a command that was killed ends soon after it, and is waited for.

    Raises:
        InputError: If another process has it, or it cannot be written.
    """
    limit = time.monotonic() + DYING
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
            text = handle.read(MOST_CHARACTERS)
            handle.close()
            if is_dying(text) and time.monotonic() < limit:
                time.sleep(0.1)
                continue
            said = describe(text)
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
        pipeline=started_by(),
        host=socket.gethostname(),
        started=time.strftime('%Y-%m-%d %H:%M:%S'),
        command=sys.argv,
    )


def is_dying(text: str) -> bool:
    """Say whether a lock's owner is a stage of a command that is gone."""
    try:
        found = json.loads(text)
        pipeline, host = found['pipeline'], found['host']
    except (ValueError, KeyError, TypeError):
        return False
    here = host == socket.gethostname()
    return here and isinstance(pipeline, int) and not is_alive(pipeline)


def describe(text: str) -> str:
    """Write what a lock file says of its owner in a few words."""
    try:
        found = json.loads(text)
        command = ' '.join(map(str, found['command']))
        return (
            f'process {found["process"]} on {found["host"]} since '
            f'{found["started"]}: {command}'
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return 'its lock does not say which'
