"""Networks of timm: dilated, and frozen in part."""

import pytest
import torch

from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

pytest.importorskip('timm')
LITE = dict(type='TIMMBackboneWSSS', model_name='tf_efficientnet_lite0')


def build(**options):
    return MODELS.build(dict(LITE, **options))


@pytest.mark.parametrize('stride', [8, 16, 32])
def test_output_stride(stride):
    network = build(output_stride=stride).eval()
    with torch.no_grad():
        sizes = [maps.shape[-1] for maps in network(torch.rand(1, 3, 64, 64))]
    assert sizes == [max(64 // s, 64 // stride) for s in (2, 4, 8, 16, 32)]


def test_dilation_keeps_the_weights():
    strided, dilated = build(output_stride=32), build(output_stride=16)
    shapes = [
        {k: v.shape for k, v in n.state_dict().items()} for n in (strided, dilated)
    ]
    assert shapes[0] == shapes[1]


def test_resnet_of_torchvision_s_shape():
    network = build(model_name='resnet18', output_stride=16).eval()
    with torch.no_grad():
        last = network(torch.rand(1, 3, 64, 64))[-1]
    assert last.shape == (1, 512, 4, 4)


def step(network):
    """Train one step; the names of what it changed."""
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    weights = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    sum(maps.square().mean() for maps in network(torch.rand(2, 3, 32, 32))).backward()
    optimizer.step()
    after = network.state_dict()
    return {k for k in before if not torch.equal(before[k], after[k])}


def test_frozen_batchnorm_stays():
    changed = step(build())
    assert changed
    assert not any('.bn' in name for name in changed)


def test_batchnorm_learns_if_asked():
    changed = step(build(norm_eval=False))
    assert 'timm_model.bn1.running_mean' in changed
    assert 'timm_model.bn1.weight' in changed


def test_frozen_layers_stay_with_their_statistics():
    frozen = ('conv_stem', 'bn1', 'blocks.0')
    changed = step(build(norm_eval=False, frozen=frozen))
    assert 'timm_model.blocks.1.0.bn1.running_mean' in changed
    assert not any(n.split('timm_model.')[1].startswith(frozen) for n in changed)


def test_a_frozen_name_that_is_no_module():
    with pytest.raises(InputError, match=r"'layer1', no module of tf_efficientnet"):
        build(frozen=['layer1'])


def test_a_name_that_timm_has_not():
    with pytest.raises(InputError, match='Unknown model'):
        build(model_name='lite99')


def test_without_timm(monkeypatch):
    monkeypatch.setattr('mmseg.models.backbones.timm_backbone.timm', None)
    with pytest.raises(InputError, match='timm is not installed'):
        build()
