"""Read checkpoints safely, find them, and load them into models that they fit."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import find_latest_checkpoint
from torch import nn

from wsss_mm.utils.errors import InputError

HISTORY_METHODS = ('min', 'max', 'current', 'mean')


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
    if not Path(path).is_file():
        raise InputError(f'{path}: no such checkpoint')
    try:
        with trusted_log_types():
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        reason = str(error).split('\n')[0]
        raise InputError(
            f'{path}: not a checkpoint that can be read safely ({reason}); expected '
            'a file that torch.save wrote with tensors and plain values. Of our own '
            'runs take the published <name>-<hash>.pth'
        ) from error
    weights = checkpoint
    if isinstance(checkpoint, dict):
        weights = checkpoint.get('state_dict', checkpoint)
    if (
        not isinstance(weights, dict)
        or not weights
        or not all(isinstance(v, torch.Tensor) for v in weights.values())
    ):
        raise InputError(f'{path}: holds no state dict of tensors')
    return weights


def fingerprint(path: str | Path) -> str:
    """Sum up the weights of a checkpoint, whatever file holds them.

    Args:
        path: Checkpoint file, or the work folder of a finished training.

    Returns:
        16 hexadecimal digits.

    Raises:
        ValueError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(read_state_dict(path).items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        # As bytes, since NumPy has no bfloat16; a scalar has no axis to view.
        values = tensor.contiguous().reshape(-1).view(torch.uint8)
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def trusted_log_types() -> Iterator[None]:
    """Allow the log history that MMEngine stores beside weights (torch >= 2.5)."""
    if not hasattr(torch.serialization, 'safe_globals'):
        yield
        return
    import numpy as np

    # The log pickles its methods by getattr, which would hand out any object of the
    # process: allow it for those methods alone.
    def history_method(owner: type, name: str) -> object:
        if owner is not HistoryBuffer or name not in HISTORY_METHODS:
            raise InputError(f'it asks for {owner!r}.{name}')
        return getattr(owner, name)

    history_method.__module__ = 'builtins'
    history_method.__name__ = history_method.__qualname__ = 'getattr'
    core = np._core if hasattr(np, '_core') else np.core
    kinds = [type(np.dtype(kind)) for kind in ('float64', 'int64', 'uint32')]
    scalars = [core.multiarray._reconstruct, core.multiarray.scalar]
    arrays = [np.ndarray, np.dtype, slice, *scalars, *kinds]
    allowed = [HistoryBuffer, history_method, *arrays]
    with torch.serialization.safe_globals(allowed):
        yield


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a checkpoint that must fit the model exactly.

    Raises:
        ValueError: If names or shapes differ: the checkpoint is another config's.
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


def latest_weights(work_dir: str | Path) -> Path:
    """Find the weights that a finished training left in its work folder.

    Raises:
        ValueError: If there are none.
    """
    latest = find_latest_checkpoint(str(work_dir))
    if latest is None or not Path(latest).is_file():
        raise InputError(
            f'{work_dir}: no checkpoint; train into this folder first (tools/train.py)'
        )
    written = Path(latest).stat().st_mtime_ns
    # An older one is that of an earlier training into the same folder.
    published = [
        path
        for path in Path(work_dir).glob(f'{Path(latest).stem}-*.pth')
        if path.stat().st_mtime_ns >= written
    ]
    return max(
        published, key=lambda path: path.stat().st_mtime_ns, default=Path(latest)
    )
