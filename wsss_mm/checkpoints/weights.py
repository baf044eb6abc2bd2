"""The weights in a checkpoint: taken out, summed up, compared with a network's."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from wsss_mm.utils.errors import InputError

Weights = Mapping[str, torch.Tensor]


def weights_in(content: Any, path: str | Path) -> dict[str, torch.Tensor]:
    """Take the state dict out of what a checkpoint holds.

    Args:
        content: What the file holds: a state dict, or one under ``state_dict``.
        path: The file, for the message.

    Raises:
        ValueError: If it holds none.
    """
    weights = content
    if isinstance(content, dict):
        weights = content.get('state_dict', content)
    if (
        not isinstance(weights, dict)
        or not weights
        or not all(isinstance(value, torch.Tensor) for value in weights.values())
    ):
        raise InputError(f'{path}: holds no state dict of tensors')
    return weights


def digest_of(weights: Weights) -> str:
    """Sum up weights by name, type, shape and value, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        # As bytes, since NumPy has no bfloat16; a scalar has no axis to view.
        values = tensor.cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def counted(names: Iterable[str]) -> list[str]:
    """List the names that say whether weights fit: older files lack the others."""
    return [name for name in names if not name.endswith('num_batches_tracked')]


def matching(own: Weights, given: Weights, *, prefix: str = '') -> int:
    """Count the tensors of a network that weights have, by name and shape.

    Args:
        own: State dict of the network.
        given: The weights.
        prefix: What stands before the network's names there.
    """
    return sum(
        prefix + name in given and given[prefix + name].shape == own[name].shape
        for name in counted(own)
    )


def prefixes_of(names: Iterable[str]) -> list[str]:
    """List what may stand before a network's names: '', 'a.', 'a.b.', ..."""
    found = {''}
    for name in names:
        parts = name.split('.')[:-1]
        found.update('.'.join(parts[:end]) + '.' for end in range(1, len(parts) + 1))
    return sorted(found, key=lambda prefix: (prefix.count('.'), prefix))


def fitting_prefix(own: Weights, given: Weights) -> tuple[str, int]:
    """Find the prefix under which most of a network's tensors are in some weights.

    Returns:
        The prefix with its dot, and how many tensors fit under it.
    """
    counts = [(matching(own, given, prefix=p), p) for p in prefixes_of(given)]
    most = max(count for count, _ in counts)
    return next((prefix, count) for count, prefix in counts if count == most)
