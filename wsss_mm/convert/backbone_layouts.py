"""Tensor names of ImageNet backbones as their projects release them.

Each table leads to the names of MMSegmentation's backbone, or of ours, behind
``backbone.``; the classifier is dropped.
"""

import re
from collections.abc import Iterator

from wsss_mm.convert.checkpoint_shapes import (
    COUNTER,
    RESNET38_SHAPES,
    Shape,
    norm_shapes,
    resnest_shapes,
    resnet_shapes,
    vgg16_shapes,
)
from wsss_mm.convert.efficientnet_layouts import DROPPED as EFFICIENTNET_DROPPED
from wsss_mm.convert.efficientnet_layouts import EFFICIENTNET_TABLES

Table = dict[str, tuple[str, Shape]]

CLASSIFIER = 'classifier of ImageNet'
LAST_CONV = 'convolution in front of the classifier of ImageNet'
FULL_FC = 'fully connected layer of the original size'
# Expansion, output channels and blocks of MobileNetV2's stages.
_MOBILE_STAGES = (
    *((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4)),
    *((6, 96, 3), (6, 160, 3), (6, 320, 1)),
)
# Places of VGG-16's convolutions among torchvision's and mmpretrain's modules.
_TORCHVISION_VGG = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_MMPRETRAIN_VGG = (0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16)


def backbone_table(shapes: dict[str, Shape], prefix: str = '') -> Table:
    """Make the table of a backbone whose names are ours behind a prefix."""
    return {
        f'{prefix}{name}': (f'backbone.{name}', shape) for name, shape in shapes.items()
    }


def resnest_table(depth: int, prefix: str = '') -> Table:
    """Make the table of the released ResNeSt for MMSegmentation's."""
    return {
        f'{prefix}{name}': (f'backbone.{_stem_name(name)}', shape)
        for name, shape in resnest_shapes(depth)
    }


def _stem_name(name: str) -> str:
    # MMSegmentation keeps the three convolutions of the stem in one module.
    first, rest = name.split('.', 1)
    return {'conv1': f'stem.{rest}', 'bn1': f'stem.7.{rest}'}.get(first, name)


def _mmpretrain_name(name: str) -> str:
    # A stem of three pairs, and no pooling where the stride is one.
    found = re.fullmatch(r'stem\.(\d)\.(\w+)', name)
    if found:
        pair, part = divmod(int(found[1]), 3)
        return f'stem.{pair}.{("conv", "bn")[part]}.{found[2]}'
    found = re.fullmatch(r'layer1\.0\.downsample\.(\d)\.(\w+)', name)
    if found:
        return f'layer1.0.downsample.{int(found[1]) - 1}.{found[2]}'
    return name


def _mmpretrain_resnest(depth: int) -> Table:
    ours = ((_stem_name(name), shape) for name, shape in resnest_shapes(depth))
    return {
        f'backbone.{_mmpretrain_name(name)}': (f'backbone.{name}', shape)
        for name, shape in ours
    }


def _mmpretrain_resnet_v1c(depth: int) -> Table:
    stem = {
        f'backbone.{_mmpretrain_name(_stem_name(name))}': (
            f'backbone.{_stem_name(name)}',
            shape,
        )
        for name, shape in resnest_shapes(50)
        if not name.startswith('layer')
    }
    shapes = {k: v for k, v in resnet_shapes(depth) if k.startswith('layer')}
    return stem | backbone_table(shapes, 'backbone.')


def _mobile_convs() -> Iterator[tuple[str, str, str, Shape]]:
    """Yield torchvision's names of each convolution and its norm, ours, the shape."""
    yield 'features.0.0', 'features.0.1', 'conv1', (32, 3, 3, 3)
    inputs, index = 32, 0
    for stage, (expansion, outputs, blocks) in enumerate(_MOBILE_STAGES, start=1):
        for block in range(blocks):
            index += 1
            middle = inputs * expansion
            shapes: list[Shape] = [(middle, 1, 3, 3), (outputs, middle, 1, 1)]
            if expansion > 1:
                shapes.insert(0, (middle, inputs, 1, 1))
            last = len(shapes) - 1
            for i, shape in enumerate(shapes):
                theirs, ours = (
                    f'features.{index}.conv',
                    f'layer{stage}.{block}.conv.{i}',
                )
                if i < last:
                    yield f'{theirs}.{i}.0', f'{theirs}.{i}.1', ours, shape
                else:
                    # The last convolution and its norm have no module of their own.
                    yield f'{theirs}.{i}', f'{theirs}.{i + 1}', ours, shape
            inputs = outputs


def _mobile_tables() -> tuple[Table, Table]:
    torchvision: Table = {}
    mmpretrain: Table = {}
    for conv, norm, ours, shape in _mobile_convs():
        named = [(f'{conv}.weight', f'{ours}.conv.weight', shape)]
        for name, size in norm_shapes(norm, shape[0] or 0):
            tensor = name.rsplit('.', 1)[-1]
            named.append((name, f'{ours}.bn.{tensor}', size))
        for theirs, mine, size in named:
            torchvision[theirs] = (f'backbone.{mine}', size)
            mmpretrain[f'backbone.{mine}'] = (f'backbone.{mine}', size)
    return torchvision, mmpretrain


def _vgg_table(places: tuple[int, ...], theirs: str) -> Table:
    convs = [name for name in VGG16_CONVS if name.endswith('.weight')]
    table: Table = {}
    for place, conv in zip(places, convs):
        for tensor in ('weight', 'bias'):
            name = f'{conv.removesuffix("weight")}{tensor}'
            table[theirs.format(place, tensor)] = (
                f'backbone.{name}',
                VGG16_CONVS[name],
            )
    return table


def _mxnet_name(name: str) -> str:
    """Name a tensor of ResNet-38 as ademxapp's MXNet model does."""
    if name == 'conv1a.weight':
        return 'arg:conv1a_weight'
    tensor = {
        'weight': 'arg:{}_gamma',
        'bias': 'arg:{}_beta',
        'running_mean': 'aux:{}_moving_mean',
        'running_var': 'aux:{}_moving_var',
    }[name.rsplit('.', 1)[-1]]
    found = re.fullmatch(r'b(\d)(?:_(\d))?\.(conv|bn)_(branch\w+)\.\w+', name)
    if found is None:
        return tensor.format('bn7')
    stage, block, kind, branch = found.groups()
    layer = f'{stage}{"a" if block is None else f"b{block}"}_{branch}'
    return f'arg:res{layer}_weight' if kind == 'conv' else tensor.format(f'bn{layer}')


VGG16_LARGEFOV: dict[str, Shape] = dict(vgg16_shapes())
VGG16_CONVS = {k: v for k, v in VGG16_LARGEFOV.items() if k.startswith('conv')}
_MOBILE = _mobile_tables()
_RESNETS = {depth: dict(resnet_shapes(depth)) for depth in (18, 34, 50, 101, 152)}
BACKBONE_TABLES: dict[str, Table] = {
    'mxnet_resnet38': {
        _mxnet_name(name): (f'backbone.{name}', shape)
        for name, shape in RESNET38_SHAPES.items()
        if not name.endswith(COUNTER)
    },
    'caffe_vgg16_largefov': backbone_table(VGG16_LARGEFOV),
    'caffe_vgg16': backbone_table(VGG16_CONVS),
    'torchvision_vgg16': _vgg_table(_TORCHVISION_VGG, 'features.{}.{}'),
    'torchvision_mobilenet_v2': _MOBILE[0],
    **{f'torchvision_resnet{n}': backbone_table(s) for n, s in _RESNETS.items()},
    **{f'released_resnest{n}': resnest_table(n) for n in (50, 101, 200, 269)},
    'mmpretrain_vgg16': _vgg_table(_MMPRETRAIN_VGG, 'backbone.features.{}.conv.{}'),
    'mmpretrain_mobilenet_v2': _MOBILE[1],
    **{
        f'mmpretrain_resnet{n}': backbone_table(s, 'backbone.')
        for n, s in _RESNETS.items()
    },
    **{f'mmpretrain_resnetv1c{n}': _mmpretrain_resnet_v1c(n) for n in (50, 101, 152)},
    **{f'mmpretrain_resnest{n}': _mmpretrain_resnest(n) for n in (50, 101, 200, 269)},
    **EFFICIENTNET_TABLES,
}


def _dropped_by(layout: str) -> dict[str, str]:
    family, _, network = layout.partition('_')
    if family == 'wheel':
        return EFFICIENTNET_DROPPED
    if family == 'mxnet':
        return {'arg:linear1000_': CLASSIFIER}
    if family == 'caffe':
        return {'fc8': CLASSIFIER} | (
            {'fc6.': FULL_FC, 'fc7.': FULL_FC} if network == 'vgg16' else {}
        )
    if network == 'mobilenet_v2':
        return (
            {'features.18.': LAST_CONV, 'classifier.': CLASSIFIER}
            if family == 'torchvision'
            else {'backbone.conv2.': LAST_CONV, 'head.': CLASSIFIER}
        )
    if family == 'mmpretrain':
        return {'head.': CLASSIFIER, 'backbone.classifier.': CLASSIFIER}
    return {'classifier.': FULL_FC} if network == 'vgg16' else {'fc.': CLASSIFIER}


BACKBONE_DROPPED = {layout: _dropped_by(layout) for layout in BACKBONE_TABLES}
