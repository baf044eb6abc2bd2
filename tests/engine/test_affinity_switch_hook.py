from types import SimpleNamespace

import pytest
from torch import nn

from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


def switched(begin, iterations):
    """Which of the iterations, counted from 0 as a runner does, trust the affinity."""
    hook = HOOKS.build(dict(type='mmseg.AffinitySwitchHook', begin=begin))
    model = nn.Linear(1, 1)
    model.trusts_affinity = False
    found = []
    for iteration in iterations:
        hook.before_train_iter(SimpleNamespace(model=model, iter=iteration), 0)
        found.append(model.trusts_affinity)
    return found


def test_from_an_iteration_on_also_after_resuming():
    assert switched(3, range(5)) == [False, False, True, True, True]
    assert switched(1, [0]) == [True]
    assert switched(9145, [9143, 9144, 20000]) == [False, True, True]


def test_another_switch():
    hook = HOOKS.build(
        dict(type='mmseg.AffinitySwitchHook', begin=2, switch='trusts_prediction')
    )
    model = nn.Linear(1, 1)
    for iteration in (0, 1):
        hook.before_train_iter(SimpleNamespace(model=model, iter=iteration), 0)
        assert model.trusts_prediction is (iteration == 1)


def test_a_network_without_the_switch():
    hook = HOOKS.build(dict(type='mmseg.AffinitySwitchHook', begin=1))
    with pytest.raises(
        InputError, match='sets trusts_affinity of a WeCLIP, the network is a Linear'
    ):
        hook.before_train(SimpleNamespace(model=nn.Linear(1, 1)))


def test_an_impossible_iteration():
    with pytest.raises(InputError, match='begin is 0: iterations are counted from 1'):
        HOOKS.build(dict(type='mmseg.AffinitySwitchHook', begin=0))
