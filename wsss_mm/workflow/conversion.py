"""Convert a file of weights into another file."""

from pathlib import Path
from typing import Any

import torch

from wsss_mm.convert.released_file import convert_released, report, to_released
from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.weights import read_state_dict


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
