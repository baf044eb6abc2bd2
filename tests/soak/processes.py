"""Start commands, kill them, and look for what they leave behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

MARK = 'WSSS_SOAK'
PROC = Path('/proc')
STARTED = 0.01


class Command:
    """A `wsss` command in a process and a session of its own.

    Args:
        arguments: Of `wsss`.
        log: File that its output is appended to.
        forked: Fork this process, which has imported everything, rather than start
            Python anew: some ten times as fast. Commands that start others by
            themselves begin those anew either way.
    """

    def __init__(self, arguments: list[str], log: Path, *, forked: bool) -> None:
        self.mark = f'{os.getpid()}.{time.monotonic_ns()}'
        environment = {**os.environ, MARK: self.mark}
        sys.stdout.flush()
        if forked:
            self.pid = os.fork()
            if self.pid == 0:
                run_fork(arguments, log, environment)
        else:
            command = [sys.executable, '-m', 'wsss_mm', *arguments]
            with log.open('ab') as sink:
                self.pid = subprocess.Popen(
                    command,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                    # A shell's background jobs, as this one may be, ignore it.
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                ).pid
        self.status: int | None = None

    def poll(self) -> int | None:
        """Give the exit status, negative after a signal; None while it runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait(self, seconds: float) -> int:
        """Wait for the end.

        Raises:
            TimeoutError: If it runs longer.
        """
        limit = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > limit:
                self.end_all()
                raise TimeoutError(f'still running after {seconds} s')
            time.sleep(STARTED)
        assert self.status is not None
        return self.status

    def kill_when(self, number: int, due: Callable[[], bool], seconds: float) -> bool:
        """Send a signal to this process alone once it is due; say whether it ran."""
        limit = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < limit:
            if due():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
                    return True
            time.sleep(0.0005)
        return False

    def left(self) -> list[int]:
        """List the living processes of the command, its children's children too."""
        return [pid for pid in living() if self.owns(pid)]

    def owns(self, pid: int) -> bool:
        """Say whether the command has started a process."""
        try:
            if os.getsid(pid) == self.pid:
                return True
            environment = (PROC / str(pid) / 'environ').read_bytes().split(b'\0')
        except OSError:
            return False
        return f'{MARK}={self.mark}'.encode() in environment

    def end_all(self) -> None:
        """Kill all that is left."""
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.poll()


def run_fork(arguments: list[str], log: Path, environment: dict[str, str]) -> None:
    """Become the command; never return."""
    os.setsid()
    os.environ.update(environment)
    for number in (signal.SIGINT, signal.SIGTERM):
        default = signal.default_int_handler if number == signal.SIGINT else 0
        signal.signal(number, default)
    with log.open('ab') as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    status = 1
    try:
        from wsss_mm.cli.main import main

        status = main(arguments)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def living() -> list[int]:
    """List the processes that run; those that nobody waited for do not."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            status = (entry / 'stat').read_text(errors='replace')
            if status.rpartition(')')[2].split()[0] not in 'ZX':
                found.append(int(entry.name))
    return found
