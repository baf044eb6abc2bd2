"""The state of everything random in a process, as tensors that any torch loads."""

import random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

State = dict[str, Any]


def random_state() -> State:
    """Take the states of Python's, NumPy's and PyTorch's generators.

    Returns:
        The words of ``python`` and ``numpy`` (as int32, which every torch saves), the
        bytes of ``torch`` and, where a GPU is in use, of ``cuda`` (the current device),
        positions, and the normal variates that Python and NumPy hold back for the
        next call.
    """
    _, (*words, position), python_next = random.getstate()
    _, keys, *numpy_rest = np.random.get_state()  # noqa: NPY002
    state: State = dict(
        python=np.array(words, np.uint32).view(np.int32),
        python_rest=(position, python_next),
        numpy=np.array(keys, np.uint32).view(np.int32),
        numpy_rest=tuple(numpy_rest),
        torch=torch.get_rng_state().numpy(),
    )
    # Not is_available: a loader's worker, forked from a process that uses the GPU,
    # cannot use it, and asking it for its state is an error there.
    if torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state().numpy()
    return state


def set_random_state(state: State) -> None:
    """Put all generators back to a state.

    Args:
        state: What :func:`random_state` gave; arrays or tensors.
    """
    version, (position, python_next) = random.getstate()[0], state['python_rest']
    words = map(int, words_of(state['python']))
    random.setstate((version, (*words, position), python_next))
    np.random.set_state(  # noqa: NPY002
        ('MT19937', words_of(state['numpy']), *state['numpy_rest'])
    )
    torch.set_rng_state(torch.as_tensor(state['torch']).cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.as_tensor(state['cuda']).cpu())


def words_of(saved: npt.NDArray[np.int32] | torch.Tensor) -> npt.NDArray[np.uint32]:
    """Give the words of a generator as they were."""
    return torch.as_tensor(saved).cpu().numpy().view(np.uint32)
