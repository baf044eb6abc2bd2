"""The states of random generators, in processes that may and may not use a GPU."""

import numpy as np
import pytest
import torch

from wsss_mm.checkpoints.random_state import random_state, set_random_state


def draws() -> tuple[float, float]:
    return float(torch.rand(())), float(np.random.rand())  # noqa: NPY002


def test_random_state_comes_back():
    state = random_state()
    first = draws()
    assert draws() != first
    set_random_state(state)
    assert draws() == first


def test_random_state_leaves_a_gpu_alone_that_is_not_in_use(monkeypatch):
    # As in a loader's worker: there is a GPU, and asking it for anything raises.
    def refuse(*_args):
        raise RuntimeError('Cannot re-initialize CUDA in forked subprocess.')

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_initialized', lambda: False)
    monkeypatch.setattr(torch.cuda, 'get_rng_state', refuse)
    assert 'cuda' not in random_state()


class Draws(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return 'cuda' in random_state()


@pytest.mark.gpu
def test_random_state_in_a_worker_of_a_process_that_uses_a_gpu():
    torch.zeros(1, device='cuda')
    assert 'cuda' in random_state()
    loader = torch.utils.data.DataLoader(Draws(), num_workers=1)
    assert not any(found.item() for found in loader)
