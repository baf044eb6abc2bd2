"""The state of everything random in a process, as tensors that any torch loads."""

import random
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


def random_state() -> State:
    """Take the states of Python's, NumPy's and PyTorch's generators.

    Returns:
        Integer arrays of ``python`` and ``numpy``, the bytes of ``torch`` and, with a
        GPU, of ``cuda`` (the current device), and the normal variates that Python and
        NumPy hold back for the next call.
    """
    _, integers, python_next = random.getstate()
    _, keys, position, has_next, numpy_next = np.random.get_state()  # noqa: NPY002
    state: State = dict(
        python=np.array(integers, np.int64),
        python_next=python_next,
        numpy=np.array([*keys, position, has_next], np.int64),
        numpy_next=float(numpy_next),
        torch=torch.get_rng_state().numpy(),
    )
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state().numpy()
    return state


def set_random_state(state: State) -> None:
    """Put all generators back to a state.

    Args:
        state: What :func:`random_state` gave; arrays or tensors.
    """
    integers = torch.as_tensor(state['python']).tolist()
    version = random.getstate()[0]
    random.setstate((version, tuple(integers), state['python_next']))
    *keys, position, has_next = torch.as_tensor(state['numpy']).tolist()
    np.random.set_state(  # noqa: NPY002
        ('MT19937', np.array(keys, np.uint32), position, has_next, state['numpy_next'])
    )
    torch.set_rng_state(torch.as_tensor(state['torch']).cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.as_tensor(state['cuda']).cpu())
