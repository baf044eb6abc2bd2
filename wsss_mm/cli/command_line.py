"""The options and the error messages that the command-line tools share."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.config import DictAction
from mmengine.dist import is_main_process

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER


class PrintHandler(logging.Handler):
    """Print the library's messages once, however many processes run the command."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message; a warning says that it is one."""
        if is_main_process():
            mark = 'warning: ' if record.levelno >= logging.WARNING else ''
            print(f'{mark}{record.getMessage()}', flush=True)


def show_messages() -> None:
    """Print what the library logs."""
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    if not any(isinstance(handler, PrintHandler) for handler in LOGGER.handlers):
        LOGGER.addHandler(PrintHandler())


def threshold_option(text: str) -> float | str:
    """Read a background threshold of the command line: a number or ``auto``."""
    try:
        return AUTO if text == AUTO else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a number nor {AUTO}'
        ) from error


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
            raise argparse.ArgumentError(self, f'{bad[0]!r}: expected key=value')
        super().__call__(parser, namespace, values, option_string)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` as in MMSegmentation's tools."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override config values: key=value, nested keys as a.b=value',
    )


def parse_with_launcher(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add the options of distributed running, parse, and keep the local rank."""
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


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
        raise InputError(str(error)) from error


@contextmanager
def readable_errors() -> Iterator[None]:
    """End a tool with a plain message, exit status 2, when its input is at fault."""
    show_messages()
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        # A data-loader worker hands over its whole traceback as the message.
        message = str(error).rstrip()
        marker = f'\n{type(error).__name__}: '
        print(f'error: {message.rpartition(marker)[2]}', file=sys.stderr)
        raise SystemExit(2) from error
