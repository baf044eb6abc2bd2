"""Backbones of torchvision and mmpretrain compute the same in our models."""

import pytest
import torch
from torch import nn

from wsss_mm.convert.backbone_layouts import BACKBONE_TABLES
from wsss_mm.convert.released_file import convert_released
from wsss_mm.models import backbones  # noqa: F401
from wsss_mm.registry import MODELS

RESNEST = dict(stem_channels=64, avg_down_stride=True)
# Theirs, ours.
NETWORKS = {
    'torchvision_resnet18': ('resnet18', dict(type='ResNet', depth=18)),
    'torchvision_resnet50': ('resnet50', dict(type='ResNet', depth=50)),
    'torchvision_mobilenet_v2': ('mobilenet_v2', dict(type='MobileNetV2')),
    'mmpretrain_resnet18': ('ResNet', dict(type='ResNet', depth=18)),
    'mmpretrain_resnetv1c50': ('ResNetV1c', dict(type='ResNetV1c', depth=50)),
    'mmpretrain_resnest50': ('ResNeSt', dict(type='ResNeSt', depth=50, **RESNEST)),
    'mmpretrain_mobilenet_v2': ('MobileNetV2', dict(type='MobileNetV2')),
}


def theirs(project, name, depth):
    """A network of another project: its tensors, and its last features."""
    if project == 'torchvision':
        model = pytest.importorskip('torchvision.models').__dict__[name]()
        if name == 'mobilenet_v2':
            # Ours ends before the last convolution.
            return model, model.features[:-1]
        return model, nn.Sequential(*list(model.children())[:-2])
    module = pytest.importorskip('mmpretrain.models.backbones')
    options = {} if depth is None else dict(depth=depth)
    model = nn.Module()
    model.backbone = getattr(module, name)(**options)
    if name == 'MobileNetV2':
        layers = [getattr(model.backbone, f'layer{i}') for i in range(1, 8)]
        return model, nn.Sequential(model.backbone.conv1, *layers)
    return model, lambda image: model.backbone(image)[-1]


def fill(model):
    """Make weights and statistics differ from one another."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1:
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise - 0.5 if name.endswith('mean') else noise + 0.5)
    return model.eval()


@pytest.mark.parametrize('layout', NETWORKS)
def test_the_same_features(layout, tmp_path):
    name, config = NETWORKS[layout]
    model, features = theirs(layout.split('_')[0], name, config.get('depth'))
    torch.manual_seed(0)
    torch.save(fill(model).state_dict(), tmp_path / 'net.pth')
    conversion = convert_released(tmp_path / 'net.pth')
    assert conversion.layout == layout
    ours = MODELS.build(config)
    ours.eval()  # gives nothing back for some backbones
    ours.load_state_dict(
        {k.removeprefix('backbone.'): v for k, v in conversion.state.items()}
    )
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, found = features(image), ours(image)[-1]
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('layout', ['torchvision_vgg16', 'mmpretrain_vgg16'])
def test_the_convolutions_of_vgg16_keep_their_order(layout):
    # Ours pools otherwise, so that features cannot be compared.
    name = {'torchvision_vgg16': 'vgg16', 'mmpretrain_vgg16': 'VGG'}[layout]
    with torch.device('meta'):
        model, _ = theirs(layout.split('_')[0], name, 16 if name == 'VGG' else None)
        order = list(MODELS.build(dict(type='VGG16SeeNet')).state_dict())
    names = {key: ours for key, (ours, _) in BACKBONE_TABLES[layout].items()}
    convs = [names[key] for key in model.state_dict() if key in names]
    assert convs == [f'backbone.{key}' for key in order]
