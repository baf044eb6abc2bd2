from types import SimpleNamespace

import pytest
import torch
from torch import nn

from wsss_mm.engine.hooks.batch_norm_hook import BatchNormHook
from wsss_mm.utils.errors import InputError


@pytest.fixture
def runner():
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    return SimpleNamespace(model=nn.ModuleDict(dict(pool=pool)))


@pytest.fixture
def pool(runner):
    return runner.model['pool']


def test_a_batch_of_one_says_what_to_do(runner, pool):
    BatchNormHook().before_train(runner)
    with pytest.raises(InputError, match=r'pool\.2: .*train_dataloader\.batch_size'):
        pool(torch.zeros(1, 3, 5, 5))


def test_torch_would_stop_too(pool):
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        pool(torch.zeros(1, 3, 5, 5))


def test_what_can_be_normalised_is(runner, pool):
    image = torch.rand(2, 3, 5, 5)
    BatchNormHook().before_train(runner)
    assert pool(image).shape == (2, 4, 1, 1)
    pool[2].eval()
    assert pool(image[:1]).shape == (1, 4, 1, 1)


def test_the_network_is_left_as_it_was(runner, pool):
    hook = BatchNormHook()
    hook.before_train(runner)
    hook.after_train(runner)
    assert not pool[2]._forward_pre_hooks
    assert hook.handles == []
