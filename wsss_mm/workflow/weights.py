"""Find the weights of a training, and load them into models that they fit."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.model import BaseModule, BaseTTAModel, is_model_wrapper
from torch import nn

from wsss_mm.checkpoints.checkpoint_file import (
    checkpoints_in,
    newest_whole,
    read_checkpoint,
)
from wsss_mm.checkpoints.finite import first_non_finite
from wsss_mm.checkpoints.weights import digest_of, weights_in
from wsss_mm.engine.hooks.weights_fit_hook import pretrained_modules
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER

PUBLISHED = re.compile(
    r'(?P<stem>[^.-][^-]*_(?P<step>\d+))-(?P<digest>[0-9a-f]{8})\.pth'
)


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the weights of a checkpoint without executing anything in it.

    Args:
        path: Checkpoint file, or the work folder of a finished training.

    Raises:
        ValueError: If the file is missing, or holds more than weights and plain
            values.
    """
    if Path(path).is_dir():
        path = latest_weights(path)
    return weights_in(read_checkpoint(path), path)


def fingerprint(path: str | Path) -> str:
    """Sum up the weights of a checkpoint, whatever file holds them.

    Args:
        path: Checkpoint file, or the work folder of a finished training.

    Returns:
        16 hexadecimal digits.

    Raises:
        ValueError: If the file cannot be read.
    """
    return digest_of(read_state_dict(path))[:16]


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a checkpoint that must fit the model exactly.

    Raises:
        ValueError: If names or shapes differ: the checkpoint is another config's. Or
            if a weight is not finite.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = cast('nn.Module', model.module)
    weights = read_state_dict(path)
    own = model.state_dict()
    findings = [f'{k}: missing' for k in own.keys() - weights.keys()]
    findings += [f'{k}: unexpected' for k in weights.keys() - own.keys()]
    findings += [
        f'{k}: {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}'
        for k in own.keys() & weights.keys()
        if own[k].shape != weights[k].shape
    ]
    if findings:
        shown = '\n  '.join(sorted(findings)[:8])
        raise InputError(
            f'{path}: does not fit this config ({len(findings)} of {len(own)} '
            'tensors differ). Is it the checkpoint of another config or class '
            f'count?\n  {shown}'
        )
    model.load_state_dict(weights)
    name = first_non_finite(model)
    if name is not None:
        raise InputError(
            f'{path}: its weights are not finite ({name}), the training has diverged; '
            'train anew with a lower learning rate'
        )


def load_start_weights(model: nn.Module) -> None:
    """Load what the ``init_cfg`` of a network's parts name, for one without training.

    Raises:
        InputError: If a file is missing, or does not hold all tensors of its part.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = cast('nn.Module', model.module)
    for name, module, init_cfg in pretrained_modules(model):
        file = init_cfg['checkpoint']
        if '://' in file:
            cast('BaseModule', module).init_weights()
            continue
        given = weights_in(read_checkpoint(file, lazily=True), file)
        prefix = (init_cfg.get('prefix') or '').rstrip('.')
        prefix = f'{prefix}.' if prefix else ''
        own = module.state_dict()
        wrong = [
            key
            for key in own
            if prefix + key not in given or given[prefix + key].shape != own[key].shape
        ]
        if wrong:
            raise InputError(
                f'{file}: {len(wrong)} of {len(own)} tensors of {name} are missing '
                f'or differ, {prefix}{wrong[0]} for one; is it of another network?'
            )
        module.load_state_dict({key: given[prefix + key] for key in own})


def start_weights(cfg: Config) -> dict[str, str]:
    """List the files of weights that the network of a config starts from.

    Args:
        cfg: Its ``model`` may be wrapped for test-time augmentation.

    Returns:
        Per dotted key the file, of those on this machine.
    """
    return {
        key: path
        for key, path in checkpoints_below(cfg.model, 'model')
        if '://' not in path
    }


def checkpoints_below(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Find the entries called ``checkpoint`` in nested dicts, by dotted key."""
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name == 'checkpoint' and isinstance(inner, str):
            yield f'{key}.{name}', inner
        yield from checkpoints_below(inner, f'{key}.{name}')


def latest_weights(work_dir: str | Path) -> Path:
    """Find the weights that a training left in its work folder.

    The newest whole checkpoint counts, wherever the folder was moved or copied; if its
    weights were published, the published file.

    Raises:
        ValueError: If there are none.
    """
    folder = Path(work_dir)
    published = {
        path: found
        for path in sorted(folder.glob('*-*.pth'))
        if (found := PUBLISHED.fullmatch(path.name))
    }
    latest = newest_whole(folder)
    if latest is None:
        steps = {path: int(found['step']) for path, found in published.items()}
        return newest_published(folder, steps)
    candidates = [path for path in published if published[path]['stem'] == latest.stem]
    if not candidates:
        return latest
    # One with another digest is that of an earlier training into the same folder.
    digest = fingerprint(latest)
    for path in candidates:
        if not digest.startswith(published[path]['digest']):
            continue
        try:
            if fingerprint(path) == digest:
                return path
        except InputError as error:
            LOGGER.warning(f'{error}. It is left out')
    return latest


def newest_published(folder: Path, steps: dict[Path, int]) -> Path:
    """Find published weights in a folder that holds nothing to resume from.

    Args:
        folder: Work folder.
        steps: Its published files, and the iteration of each.

    Raises:
        ValueError: If none is whole, or two of the latest iteration differ.
    """
    latest = [path for path in steps if steps[path] == max(steps.values())]
    if len(latest) == 1:
        return latest[0]
    if latest:
        names = ', '.join(path.name for path in latest)
        raise InputError(f'{folder}: weights of several trainings ({names}); name one')
    damaged = ', '.join(path.name for path in checkpoints_in(folder))
    if damaged:
        raise InputError(
            f'{folder}: no whole checkpoint ({damaged}: damaged); train into this '
            'folder again (tools/train.py), or name another file'
        )
    raise InputError(
        f'{folder}: no checkpoint; train into this folder first (tools/train.py)'
    )
