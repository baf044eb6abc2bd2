import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wsss_mm.models.backbones import resnet38d
from wsss_mm.models.backbones.resnet38d import ResBlock, ResNet38d, WideBlock
from wsss_mm.registry import MODELS

BN = dict(type='BN')


def skeleton(**settings):
    """The full network without memory: names, shapes and flags only."""
    with torch.device('meta'):
        return ResNet38d(**settings)


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    return ResNet38d()


def randomise(module):
    generator = torch.Generator().manual_seed(3)
    for name, tensor in module.state_dict().items():
        if name.endswith('running_var'):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return module.eval().double()


def normalise(x, layer):
    centred = x - layer.running_mean[:, None, None]
    scaled = centred / torch.sqrt(layer.running_var[:, None, None] + 1e-5)
    return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]


def test_parameter_counts_are_the_released_networks():
    net = skeleton()
    assert sum(p.numel() for p in net.parameters()) == 105_070_912
    # SEAM's 104,489,536 less the 287,296 of its heads.
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert trained == 104_202_240
    # 191 tensors and 37 counters.
    assert len(net.state_dict()) == 228


def test_it_is_registered():
    with torch.device('meta'):
        assert isinstance(MODELS.build(dict(type='ResNet38d')), ResNet38d)


@pytest.mark.parametrize('projects', [True, False])
def test_res_block_follows_its_definition(projects):
    channels = (3, 4, 5) if projects else (4, 3, 4)
    stride = 2 if projects else 1
    block = randomise(ResBlock(channels, stride=stride, dilations=(1, 2), norm_cfg=BN))
    assert hasattr(block, 'conv_branch1') == projects
    x = torch.randn(2, channels[0], 9, 8).double()
    before = x.clone()
    a = normalise(x, block.bn_branch2a).clamp(min=0)
    main = F.conv2d(a, block.conv_branch2a.weight, stride=stride, padding=1)
    main = normalise(main, block.bn_branch2b1).clamp(min=0)
    main = F.conv2d(main, block.conv_branch2b1.weight, padding=2, dilation=2)
    # The shortcut projects the activated tensor, but passes on the raw one.
    short = F.conv2d(a, block.conv_branch1.weight, stride=stride) if projects else x
    out, activated = block(x)
    torch.testing.assert_close(out, short + main)
    torch.testing.assert_close(activated, a)
    assert torch.equal(x, before)


def test_wide_block_follows_its_definition():
    block = randomise(WideBlock(3, 8, dropout=0.9, norm_cfg=BN))
    x = torch.randn(2, 3, 9, 8).double()
    a = normalise(x, block.bn_branch2a).clamp(min=0)
    main = F.conv2d(a, block.conv_branch2a.weight)
    main = normalise(main, block.bn_branch2b1).clamp(min=0)
    main = F.conv2d(main, block.conv_branch2b1.weight, padding=4, dilation=4)
    main = normalise(main, block.bn_branch2b2).clamp(min=0)
    main = F.conv2d(main, block.conv_branch2b2.weight)
    out, activated = block(x)
    torch.testing.assert_close(out, F.conv2d(a, block.conv_branch1.weight) + main)
    torch.testing.assert_close(activated, a)


def test_wide_block_drops_whole_channels_at_two_places(monkeypatch):
    seen = []
    forward = nn.Dropout2d.forward

    def spy(self, x):
        out = forward(self, x)
        seen.append((x.shape[1], self.p, out))
        return out

    monkeypatch.setattr(nn.Dropout2d, 'forward', spy)
    block = WideBlock(3, 64, dropout=0.5, norm_cfg=BN).train()
    block(torch.randn(4, 3, 6, 6))
    assert [(channels, p) for channels, p, _ in seen] == [(16, 0.5), (32, 0.5)]
    for _, _, out in seen:
        dropped = (out == 0).all(dim=3).all(dim=2)
        assert 0.2 < dropped.float().mean() < 0.8


def test_dropout_rates_of_the_wide_blocks():
    net = skeleton()
    assert (net.b6.dropout.p, net.b7.dropout.p) == (0.3, 0.5)


def test_taps_and_sizes(net):
    net.eval()
    with torch.no_grad():
        taps = net(torch.randn(1, 3, 49, 34))
    # 49 -> 25 -> 13 -> 7 and 34 -> 17 -> 9 -> 5.
    assert [tuple(tap.shape) for tap in taps] == [
        (1, 256, 13, 9),
        (1, 512, 7, 5),
        (1, 1024, 7, 5),
        (1, 4096, 7, 5),
    ]
    assert all((tap >= 0).all() for tap in taps)


def test_taps_are_the_activated_inputs_of_their_blocks(net):
    inputs = {}
    hooks = [
        getattr(net, name).register_forward_pre_hook(
            lambda _, args, name=name: inputs.update({name: args[0]})
        )
        for name in ('b4', 'b5', 'b6')
    ]
    net.eval()
    with torch.no_grad():
        taps = net(torch.randn(1, 3, 24, 24))
        for name, tap in zip(('b4', 'b5', 'b6'), taps):
            expected = getattr(net, name).bn_branch2a(inputs[name]).clamp(min=0)
            torch.testing.assert_close(tap, expected)
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize('stage', range(8))
def test_frozen_stages(stage):
    net = skeleton(frozen_stages=stage, norm_eval=False).train()
    for name, parameter in net.named_parameters():
        part = name.split('.')[0]
        own = {'conv1a': 1, 'bn7': 7}.get(part) or int(part[1])
        assert parameter.requires_grad == (own > stage), name


def test_seam_freezes_the_stem_and_b2_only():
    net = skeleton().train()
    convs = {n: p for n, p in net.named_parameters() if 'conv' in n}
    frozen = {n.split('.')[0] for n, p in convs.items() if not p.requires_grad}
    assert frozen == {'conv1a', 'b2', 'b2_1', 'b2_2'}


def test_norm_layers_stay_in_eval_mode():
    net = skeleton()
    for module in net.modules():
        module.training = True
    for parameter in net.bn7.parameters():
        parameter.requires_grad = True
    assert net.train() is net
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 37
    assert not any(m.training for m in norms)
    assert not any(p.requires_grad for m in norms for p in m.parameters())
    assert net.b7.dropout.training
    assert not net.eval().b7.dropout.training


def test_retraining_lets_statistics_move_and_fixes_scale_and_shift():
    norm_cfg = dict(type='BN', momentum=3e-4, requires_grad=False)
    net = skeleton(frozen_stages=0, norm_eval=False, norm_cfg=norm_cfg).train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.training and m.momentum == 3e-4 for m in norms)
    assert not any(p.requires_grad for m in norms for p in m.parameters())
    assert net.conv1a.weight.requires_grad


def test_default_norm_trains_where_asked():
    net = skeleton(norm_eval=False).train()
    assert net.bn7.training
    assert net.bn7.weight.requires_grad


def test_checkpointing_changes_nothing_but_memory(net):
    x = torch.randn(1, 3, 16, 16)
    results = []
    for with_cp in (False, True):
        net.train()
        net.with_cp = with_cp
        net.zero_grad()
        torch.manual_seed(5)
        out = net(x)[-1]
        out.square().mean().backward()
        results.append((out.detach(), net.b3.conv_branch2a.weight.grad.clone()))
    net.with_cp = False
    net.zero_grad()
    torch.testing.assert_close(results[0], results[1])
    assert results[0][1].abs().sum() > 0


def test_pretrained_weights_load_below_a_prefix(net, tmp_path):
    stem = torch.randn(64, 3, 3, 3)
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'backbone.conv1a.weight': stem}}, path)
    net.init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    net._is_init = False
    net.init_weights()
    assert torch.equal(net.conv1a.weight, stem)


@pytest.mark.parametrize('stage', [-1, 8])
def test_bad_frozen_stages_are_refused(stage):
    with pytest.raises(ValueError, match=rf'0\.\.7.*got {stage}'):
        skeleton(frozen_stages=stage)


def test_every_block_of_the_table_is_run():
    names = [b[0] for b in (*resnet38d.RES_BLOCKS, *resnet38d.WIDE_BLOCKS)]
    assert names == [n for n, m in skeleton().named_children() if n[0] == 'b'][:-1]
