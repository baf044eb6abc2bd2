"""The options that the commands share."""

import argparse
import os
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.cli.messages import readable_errors, show_messages
from wsss_mm.utils.errors import InputError

__all__ = [
    'OptionsAction',
    'add_config_options',
    'parse_options',
    'parse_with_launcher',
    'readable_errors',
    'show_messages',
    'threshold_option',
]


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
