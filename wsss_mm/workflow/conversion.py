"""Convert a file of weights into another file."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.checkpoints.weights import weights_in
from wsss_mm.convert.released_file import convert_released, report, to_released
from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.weights import latest_weights, read_state_dict


def convert_file(
    source: Path,
    target: Path,
    *,
    kind: str | None = None,
    to_reference: str | None = None,
) -> str:
    """Rename released weights for our models, or ours for the released code.

    Args:
        source: File of weights; a checkpoint of ours with ``to_reference``.
        target: File to write.
        kind: Layout of the released weights; found from their content if None.
        to_reference: Layout to write a checkpoint of ours in.

    Returns:
        What was done with the tensors, in some lines.

    Raises:
        InputError: If the source is damaged or has another layout.
    """
    contents: dict[str, Any]
    if to_reference is None:
        conversion = convert_released(source, kind)
        contents = {'state_dict': conversion.state, 'meta': {}}
        summary = report(conversion)
    else:
        try:
            contents = to_released(read_state_dict(source), to_reference)
        except ValueError as error:
            message = str(error).removeprefix(f'{source}: ')
            raise InputError(f'{source}: {message}') from error
        summary = f'kind: {to_reference}\nwritten: {len(contents)} tensors'
    with atomic_write(target) as path:
        torch.save(contents, path)
    return summary


def halve_file(source: Path, target: Path) -> str:
    """Write a checkpoint's weights in 16 bits, to be released.

    What is left is the state dict and the dataset's classes and colours. Networks take
    the values back into 32 bits when they load them; each is off by at most 0.05 %.

    Args:
        source: Checkpoint of ours, or the work folder of a training.
        target: File to write.

    Returns:
        The SHA-256 of the file and its size.

    Raises:
        InputError: If the source is damaged, or a value is too large for 16 bits.
    """
    file = latest_weights(source) if source.is_dir() else source
    content = read_checkpoint(file)
    state = weights_in(content, file)
    halved = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    for name, values in halved.items():
        if not bool(torch.isfinite(values).all()):
            raise InputError(f'{source}: {name} is too large for 16 bits')
    meta = content.get('meta') or {}
    kept = {key: meta[key] for key in ('dataset_meta',) if key in meta}
    with atomic_write(target) as path:
        torch.save({'state_dict': halved, 'meta': kept}, path)
        written = path.read_bytes()
    digest = hashlib.sha256(written).hexdigest()
    return f'sha256: {digest}\n{len(halved)} tensors, {len(written) / 1e6:.1f} MB'
