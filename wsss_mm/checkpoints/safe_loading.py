"""Keep MMEngine from running code that is in a checkpoint or a YAML file.

Importing :mod:`wsss_mm.engine` puts this in place, in MMSegmentation's own tools too.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import yaml
from mmengine.fileio import register_handler
from mmengine.fileio.handlers import YamlHandler
from mmengine.runner.checkpoint import CheckpointLoader

from wsss_mm.checkpoints.checkpoint_file import (
    LOAD,
    read_checkpoint,
    trusted_log_types,
    unreadable,
)
from wsss_mm.utils.errors import InputError


@contextmanager
def weights_only_loads() -> Iterator[None]:
    """Let every ``torch.load`` of this process read tensors and plain values alone.

    MMEngine unpickles a file that does not load so, and downloads always.
    """

    def load(file: Any, map_location: Any = None, *_: Any, **options: Any) -> Any:
        options = dict(options, weights_only=True)
        options.pop('pickle_module', None)
        try:
            with trusted_log_types():
                return LOAD(file, map_location, **options)
        except Exception as error:  # a damaged file can raise anything
            raise unreadable(file, error) from error

    before = torch.load
    torch.load = cast('Any', load)
    try:
        yield
    finally:
        torch.load = before


def without_code(content: Any) -> Any:
    """Leave out the config in a checkpoint, which MMEngine would run to compare it."""
    if isinstance(content, dict) and isinstance(content.get('meta'), dict):
        meta = {key: part for key, part in content['meta'].items() if key != 'config'}
        return dict(content, meta=meta)
    return content


def load_from_local(filename: str, map_location: Any) -> Any:
    """Load a local file; MMEngine calls it by the ending of this function's name."""
    return without_code(read_checkpoint(filename, map_location=map_location))


def guarded(loader: Callable[..., Any]) -> Callable[..., Any]:
    """Make one of MMEngine's loaders of remote files read weights only."""

    @functools.wraps(loader)
    def load(filename: str, *options: Any, **more: Any) -> Any:
        with weights_only_loads():
            return without_code(loader(filename, *options, **more))

    load.__dict__['reads_weights_only'] = True
    return load


class SafeYamlHandler(YamlHandler):
    """Read YAML files of strings, numbers, lists and mappings alone."""

    def load_from_fileobj(self, file: Any, **options: Any) -> Any:
        """Read one file.

        Raises:
            ValueError: If it holds anything else, as objects of Python.
        """
        try:
            return yaml.load(file, **dict(options, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            reason = ' '.join(str(error).split())
            raise InputError(f'a YAML file is not read safely ({reason})') from error


def load_safely() -> None:
    """Put the safe readers in the place of MMEngine's."""
    register_handler(['yaml', 'yml'])(SafeYamlHandler)
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        if prefix == '':
            CheckpointLoader.register_scheme('', load_from_local, force=True)
        elif not hasattr(loader, 'reads_weights_only'):
            CheckpointLoader.register_scheme(prefix, guarded(loader), force=True)
