"""The options that the commands share."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.cli.messages import readable_errors, show_messages
from wsss_mm.io.json_text import read_object
from wsss_mm.utils.errors import InputError

__all__ = [
    'OptionsAction',
    'add_amp',
    'add_config_options',
    'add_launcher',
    'config_options',
    'parse_options',
    'readable_errors',
    'set_local_rank',
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
    """Add ``--cfg-options`` as in MMSegmentation's tools, and a file of the same."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override config values: key=value, nested keys as a.b=value',
    )
    parser.add_argument(
        '--options-file',
        type=Path,
        help='JSON file of config values to override, for values that key=value '
        'cannot write; --cfg-options come on top',
    )


def config_options(args: argparse.Namespace) -> dict[str, Any]:
    """Give the config values that the options of `add_config_options` override.

    Raises:
        InputError: If the file is not a JSON object.
    """
    options: dict[str, Any] = {}
    if args.options_file is not None:
        try:
            options = read_object(args.options_file, kind='a file of options')
        except FileNotFoundError as error:
            raise InputError(
                f'{args.options_file}: no such file; it holds {{"a.b": value, ...}}'
            ) from error
    return {**options, **(args.cfg_options or {})}


def add_amp(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a network predicts in mixed precision."""
    parser.add_argument(
        '--amp',
        action='store_true',
        help='compute in mixed precision: float16 on a GPU, bfloat16 on a CPU',
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add the options by which launchers start a command in several processes."""
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )


def set_local_rank(args: argparse.Namespace) -> None:
    """Keep the local rank where MMEngine looks for it."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


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
