"""What a command prints: the library's messages, and errors by their kind.

The debug switch: ``--debug``, or ``WSSS_DEBUG=1`` in the environment, which the
processes of a command inherit. It shows the traceback of every error and the library's
debug messages.
"""

import functools
import importlib.util
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager

from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER

DEBUG = 'WSSS_DEBUG'
# What torch says when another process of this command was killed.
WORKER_ENDED = re.compile(
    r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) '
    r'(is killed by signal: [\w ]+|exited)'
)
PROCESS_ENDED = re.compile(
    'Connection (closed|reset) by (remote )?peer|Broken pipe|Read error|Timed out'
)


class PrintHandler(logging.Handler):
    """Print the library's messages once, however many processes run the command."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message; a warning says that it is one."""
        # Not before a message comes: a command that only explains itself is quick.
        from mmengine.dist import is_main_process

        if is_main_process():
            mark = 'warning: ' if record.levelno >= logging.WARNING else ''
            print(f'{mark}{record.getMessage()}', flush=True)


def is_debugging() -> bool:
    """Say whether the debug switch is on."""
    return os.environ.get(DEBUG, '') not in ('', '0')


def show_messages() -> None:
    """Print what the library logs."""
    LOGGER.setLevel(logging.DEBUG if is_debugging() else logging.INFO)
    LOGGER.propagate = False
    if not any(isinstance(handler, PrintHandler) for handler in LOGGER.handlers):
        LOGGER.addHandler(PrintHandler())


def hide_debug_prints() -> None:
    """Let MMEngine's ``print_log`` keep to its levels where it prints.

    Without a logger it prints messages of every level, such as the packages' "Could not
    import OneDL" of level DEBUG. Modules that are imported later take this one.
    """
    if importlib.util.find_spec('mmengine') is None:
        return  # the command itself says what is not installed
    import mmengine.logging

    inner = mmengine.logging.print_log

    @functools.wraps(inner)
    def print_log(
        msg: object, logger: object = None, level: int = logging.INFO
    ) -> None:
        if logger is not None or level >= logging.INFO or is_debugging():
            inner(msg, logger, level)

    if not hasattr(inner, '__wrapped__'):
        mmengine.logging.print_log = print_log


def is_users(error: Exception) -> bool:
    """Say whether the user can correct an error, or it is a fault of the program.

    Files that cannot be read or written are the user's, and so is an optional package
    that is not installed: such an error is written by us and has a message, whereas
    one of Python names the module.
    """
    if isinstance(error, ImportError):
        return error.name is None
    return isinstance(error, (InputError, OSError))


def ended_process(error: BaseException | None) -> str | None:
    """Say which other process has ended, if an error comes of that; else None."""
    while error is not None:
        text = str(error)
        worker = WORKER_ENDED.search(text)
        if worker:
            how = worker[2].removeprefix('is killed by signal: ').strip()
            return (
                f'a process that loads images ({worker[1]}) has ended: {how}. Most '
                'often the memory did not suffice: use fewer num_workers. What was '
                'finished is kept; run it again (training: with --resume)'
            )
        broken = isinstance(error, BrokenExecutor)
        if broken or isinstance(error.__cause__, BrokenExecutor):
            return f'{text.rstrip(".")}. What was finished is kept; run it again'
        if is_distributed(error) and PROCESS_ENDED.search(text):
            return (
                'another process of this command has ended, look for its message. '
                'What was finished is kept; run it again (training: with --resume)'
            )
        error = error.__cause__ or error.__context__
    return None


def is_distributed(error: BaseException) -> bool:
    """Say whether an error is of the communication of several processes."""
    return isinstance(error, RuntimeError) and (
        'gloo' in str(error) or 'NCCL' in str(error) or 'Distributed' in str(error)
    )


@contextmanager
def readable_errors() -> Iterator[None]:
    """End a command with a plain message, exit status 2, when its input is at fault.

    It ends with status 1 when another of its processes was killed, and with 130 by
    Ctrl-C.
    Any other error keeps its traceback, and with the debug switch every one does.
    """
    show_messages()
    # A full disk is one message, not one for every line of a log.
    logging.raiseExceptions = is_debugging()
    try:
        yield
    except (InputError, OSError, ImportError) as error:
        if is_debugging() or not is_users(error):
            raise
        # A data-loader worker hands over its whole traceback as the message.
        marker = rf'\n(?:\w+\.)*{type(error).__name__}: '
        message = re.split(marker, str(error).rstrip())[-1]
        print(f'error: {message}', file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        if is_debugging():
            raise
        print('interrupted', file=sys.stderr)
        raise SystemExit(130) from error
    except Exception as error:
        # The signal of a worker's end can meet any line, and that line's own handler.
        ended = ended_process(error)
        if is_debugging() or ended is None:
            raise
        print(f'error: {ended}', file=sys.stderr)
        raise SystemExit(1) from error


# How to go on after a command that was interrupted.
GOING_ON = {
    'train': 'the same command with --resume goes on from the last checkpoint',
    'run': 'finished stages are kept; the same command goes on from here',
    'demo': 'finished stages are kept; the same command goes on from here',
    'cams': 'finished images are kept; the same command makes the rest',
    'refine': 'finished images are kept; the same command makes the rest',
}
SIGNALS = (128 + signal.SIGTERM, 128 + signal.SIGHUP)


@contextmanager
def saying_how_to_go_on(command: str) -> Iterator[None]:
    """Say what to do after Ctrl-C or a signal, instead of a traceback.

    Args:
        command: Name of the sub-command.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f'\ninterrupted; {GOING_ON.get(command, "start it again")}', flush=True)
        raise SystemExit(128 + signal.SIGINT) from None
    except SystemExit as stop:
        if stop.code in SIGNALS:
            said = GOING_ON.get(command, 'start it again')
            print(f'ended by a signal; {said}', flush=True)
        raise
