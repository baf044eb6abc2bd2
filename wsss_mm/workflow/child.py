"""Run a command as a child that never outlives this process."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from wsss_mm.utils.logging import LOGGER

PARENT = 'WSSS_PARENT_PROCESS'
TORCH_LAUNCHER = 'TORCHELASTIC_RUN_ID'
PROGRESS = re.compile(r'(Iter|Epoch)\((train|val|test)\).*eta: \S+')
# Seconds that a child has to end by itself.
PATIENCE = 8.0
INTERVAL = 0.5


def follow(command: Sequence[str], log: Path, *, prefix: str | None) -> int:
    """Run a command into a log file, showing its progress lines.

    A signal that ends this process ends the command and its own children first; if this
    process is killed, they end by themselves, see :func:`end_with_parent`.

    Args:
        command: Program and arguments.
        log: File that all output is appended to.
        prefix: What to show before a progress line; ``None`` shows nothing.

    Returns:
        The exit status.
    """
    environment = {**os.environ, PARENT: str(os.getpid())}
    with (
        log.open('a') as sink,
        signals_as_exit(),
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                sink.write(line)
                sink.flush()
                found = PROGRESS.search(line)
                if found and prefix:
                    LOGGER.info('  %s: %s', prefix, found.group())
            process.wait()
        finally:
            end_group(process)
    return process.returncode


@contextmanager
def signals_as_exit(*, within: float | None = None) -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind this process as Ctrl-C does, if not ignored.

    Args:
        within: Seconds after which it ends without being unwound, which a call that
            does not return may prevent; None for never.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals are the main thread's; whoever started this one handles them.
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        if within is not None:
            limit = threading.Timer(within, os._exit, (128 + number,))
            limit.daemon = True
            limit.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {
        number: signal.signal(number, leave)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        if signal.getsignal(number) != signal.SIG_IGN  # as nohup has it
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_group(process: subprocess.Popen) -> None:
    """End a child that leads a session, and all that it has started."""
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            process.poll()
            if not group_lives(process.pid):
                return
            time.sleep(0.05)


def group_lives(group: int) -> bool:
    """Say whether a process group has a member."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_with_parent() -> None:
    """End this process soon after the pipeline that started it, killed or not.

    So it ends with torch's launcher of several processes. Without either nothing
    happens.
    """
    parent = started_by()
    if parent is not None:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()


def started_by() -> int | None:
    """Give the pipeline, or the launcher of several processes, that started this."""
    parent = os.environ.get(PARENT, '')
    if parent.isdigit() and int(parent) != os.getpid():
        return int(parent)
    return os.getppid() if TORCH_LAUNCHER in os.environ else None


def watch(parent: int) -> None:
    """Wait until a process is gone, then leave as SIGTERM would, or at once."""
    while is_alive(parent):
        time.sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(143)


def is_alive(process: int) -> bool:
    """Say whether a process runs; one that nobody has waited for yet does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f'/proc/{process}/stat').read_text(errors='replace')
    except OSError:  # another system, or it has just gone
        return not Path('/proc/self/stat').exists()
    return status.rpartition(')')[2].split()[0] != 'Z'
