"""Turn what MMEngine saves beside weights into values that any torch loads safely."""

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer

from wsss_mm.utils.logging import LOGGER

SIMPLE = (str, int, float, bool, type(None), torch.Tensor)
LEFT_OUT = object()
HISTORY = {'history', 'counts', 'max_length'}


def plain(value: Any, where: str = 'checkpoint') -> Any:
    """Rebuild nested values out of tensors and Python's own types.

    Args:
        value: Anything; log histories and NumPy's types have their own form.
        where: What the value is, for the warning about what is left out.

    Returns:
        The same values; arrays as tensors, and without what has no plain form.
    """
    if isinstance(value, HistoryBuffer):
        values, counts = value.data
        return dict(
            history=torch.from_numpy(values.astype(np.float64)),
            counts=torch.from_numpy(counts.astype(np.int64)),
            max_length=value.max_length,
        )
    if isinstance(value, dict):
        rebuilt = {key: plain(part, f'{where}.{key}') for key, part in value.items()}
        rebuilt = {key: part for key, part in rebuilt.items() if part is not LEFT_OUT}
        # torch's own state dicts carry the versions of their layers.
        same = all(rebuilt.get(key) is part for key, part in value.items())
        return value if same and type(value) in (dict, OrderedDict) else rebuilt
    if isinstance(value, (list, tuple)):
        parts = [plain(part, f'{where}.{i}') for i, part in enumerate(value)]
        parts = [part for part in parts if part is not LEFT_OUT]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(value.copy())
    if type(value) in SIMPLE or isinstance(value, torch.Tensor):
        return value
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    LOGGER.warning(
        f'{where} is a {type(value).__name__}, which cannot be loaded safely: it is '
        'left out of the checkpoint'
    )
    return LEFT_OUT


def log_histories(scalars: dict[str, Any]) -> dict[str, Any]:
    """Make log histories of their plain form; others stay what they are."""
    return {
        key: HistoryBuffer(
            value['history'].cpu().numpy(),
            value['counts'].cpu().numpy(),
            value['max_length'],
        )
        if isinstance(value, dict) and value.keys() == HISTORY
        else value
        for key, value in scalars.items()
    }
