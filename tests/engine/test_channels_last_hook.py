"""Channels last in memory: another layout, the same numbers and files."""

from types import SimpleNamespace

import torch
from torch import nn

from wsss_mm.registry import HOOKS


def networks():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    laid_out = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    laid_out.load_state_dict(plain.state_dict())
    hook = HOOKS.build(dict(type='ChannelsLastHook'))
    hook.before_train(SimpleNamespace(model=laid_out))
    return plain, laid_out


def test_maps_are_laid_out_channels_last():
    _, network = networks()
    maps = network[0](torch.rand(2, 3, 9, 9))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert not maps.is_contiguous()


def test_outputs_and_gradients_are_those_of_the_default_layout():
    images = torch.rand(2, 3, 9, 9)
    found = []
    for network in networks():
        output = network(images)
        output.square().sum().backward()
        found.append([output, *(p.grad for p in network.parameters())])
    for plain, laid_out in zip(*found):
        torch.testing.assert_close(laid_out, plain, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_fits_both(tmp_path):
    plain, laid_out = networks()
    torch.save(laid_out.state_dict(), tmp_path / 'net.pth')
    state = torch.load(tmp_path / 'net.pth', weights_only=True)
    plain.load_state_dict(state, strict=True)
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in state.items())
