import re
from functools import cache

import pytest
import torch
from mmseg.models.backbones import ResNeSt
from mmseg.models.backbones.resnest import Bottleneck

from wsss_mm.convert.backbone_layouts import BACKBONE_TABLES
from wsss_mm.convert.checkpoint_keys import (
    LAYOUTS,
    detect_layout,
    layout_shapes,
    to_ours,
    to_reference,
)
from wsss_mm.convert.checkpoint_layouts import DROPPED, DUPLICATES
from wsss_mm.models import backbones, decode_heads  # noqa: F401
from wsss_mm.registry import MODELS

EACH_LAYOUT = pytest.mark.parametrize('layout', LAYOUTS)


def placeholders(layout, classes=21):
    """A checkpoint's names and shapes; values are views of one zero."""
    return {
        key: torch.zeros(()).expand([classes if n is None else n for n in shape])
        for key, shape in layout_shapes(layout).items()
    }


def without_counters(state):
    return {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}


class ResNeStOfAnyDepth(ResNeSt):
    arch_settings = ResNeSt.arch_settings | {269: (Bottleneck, (3, 30, 48, 8))}


@cache
def our_backbone(network):
    """Names and shapes of the backbone that a layout's name ends with."""
    depth = int(re.search(r'\d*$', network)[0] or 0)
    stem = 64 if depth == 50 else 128
    config = {
        f'resnet{depth}': dict(type='ResNet', depth=depth),
        'resnet38': dict(type='ResNet38d'),
        'vgg16_largefov': dict(type='VGG16WSSS'),
        'vgg16': dict(type='VGG16SeeNet'),
        'mobilenet_v2': dict(type='MobileNetV2'),
        f'resnetv1c{depth}': dict(type='ResNetV1c', depth=depth),
        f'resnest{depth}': dict(
            type=ResNeStOfAnyDepth, depth=depth, stem_channels=stem
        ),
        f'efficientnet_lite{depth}': dict(
            type='TIMMBackboneWSSS', model_name=f'tf_efficientnet_lite{depth}'
        ),
    }
    if 'lite' in network:
        pytest.importorskip('timm')
    with torch.device('meta'):
        return shapes_of(MODELS.build(config[network]))


def shapes_of(module):
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def our_parts(layout):
    """The backbone of a layout by name, and the configs of the other parts."""
    if layout in BACKBONE_TABLES:
        return layout.split('_', 1)[1], {}
    affinity = dict(type='AffinityHead')
    stem = 64 if layout.endswith('50') else 128
    edge = dict(type='EdgeHead', in_channels=(stem, 256, 512, 1024, 2048))
    psa = dict(type='CAMHead', num_classes=21, in_channels=4096)
    vgg = dict(psa, in_channels=1024)
    vgg_taps = dict(in_channels=(512, 512, 1024), norm_groups=(8, 16, 32))
    resnest = layout.rsplit('_', 1)[-1]
    return {
        'resnet38': ('resnet38', {}),
        'resnet38_psa_cls': ('resnet38', {'decode_head': psa}),
        'resnet38_psa_aff': ('resnet38', {'decode_head': affinity}),
        'resnet38_seam': (
            'resnet38',
            {'neck': dict(type='PCMNeck'), 'decode_head': dict(psa, type='SEAMHead')},
        ),
        'seam_deeplabv1': (
            'resnet38',
            {'decode_head': dict(psa, type='DeepLabV1Head')},
        ),
        'vgg16_psa_cls': ('vgg16_largefov', {'decode_head': vgg}),
        'vgg16_psa_aff': ('vgg16_largefov', {'decode_head': affinity | vgg_taps}),
        'seenet_vgg16': (
            'vgg16',
            {'decode_head': dict(type='ErasingHead', in_channels=512, num_classes=21)},
        ),
        f'puzzle_affnet_{resnest}': (resnest, {'decode_head': edge}),
        'puzzle_affnet_r50': ('resnet50', {'decode_head': edge}),
        f'puzzle_deeplabv3plus_{resnest}': (
            resnest,
            {'decode_head': dict(type='DeepLabV3PlusHead', num_classes=21)},
        ),
    }.get(layout, (resnest, {'decode_head': dict(psa, in_channels=2048)}))


def our_model(layout):
    """Our network of a layout as a name to shape mapping."""
    backbone, parts = our_parts(layout)
    model = {f'backbone.{key}': shape for key, shape in our_backbone(backbone).items()}
    for part, config in parts.items():
        with torch.device('meta'):
            shapes = shapes_of(MODELS.build(config))
        model |= {f'{part}.{key}': shape for key, shape in shapes.items()}
    return model


# CLIP is several parts of a network; test_torchscript.py loads them all.
@pytest.mark.parametrize('layout', [x for x in LAYOUTS if not x.startswith('clip_')])
def test_every_tensor_of_our_models_has_its_counterpart(layout):
    with_background = layout == 'resnet38_seam' or 'deeplab' in layout
    ours = to_ours(placeholders(layout, 21 if with_background else 20), layout)
    found = {key: tuple(tensor.shape) for key, tensor in ours.items()}
    wanted = our_model(layout)
    # MXNet counts no batches.
    assert found == (without_counters(wanted) if 'mxnet' in layout else wanted)


@pytest.mark.parametrize(
    ('layout', 'tensors'),
    [
        ('resnet38', 191),
        ('resnet38_psa_cls', 192),
        ('resnet38_psa_aff', 195),
        ('resnet38_seam', 195),
        ('vgg16_psa_cls', 31),
        ('vgg16_psa_aff', 40),
    ],
)
def test_numbers_of_tensors_are_those_of_the_released_files(layout, tensors):
    state = placeholders(layout)
    assert len(without_counters(state)) == tensors
    assert len(state) == tensors + (37 if layout.startswith('resnet38') else 0)


def with_duplicates(state, layout):
    """Add every second copy that the released code's modules save."""
    copies = {
        copy + key.removeprefix(original): tensor
        for copy, original in DUPLICATES[layout].items()
        for key, tensor in state.items()
        if key.startswith(original)
    }
    return {**state, **copies}


@pytest.mark.parametrize(
    ('layout', 'tensors'),
    [
        ('puzzle_resnet50', 637),
        ('puzzle_resnest50', 949),
        ('puzzle_resnest101', 1867),
        ('puzzle_resnest269', 4891),
        # 17 tensors of the head; the stages are there three times, the head twice.
        ('puzzle_affnet_r50', 3 * 318 + 2 * 17),
        ('irn_resnet50', 3 * 318 + 2),
    ],
)
def test_whole_files_with_their_second_copies(layout, tensors):
    once = placeholders(layout)
    state = with_duplicates(once, layout)
    assert len(state) == tensors
    assert detect_layout(state) == layout
    assert to_ours(state, layout) == to_ours(once, layout)


def test_second_copies_must_be_equal():
    state = {
        'model.bn1.bias': torch.zeros(64),
        'stage1.1.bias': torch.full((64,), 1e-7),
    }
    with pytest.raises(ValueError, match=r'stage1\.1\.bias and model\.bn1\.bias'):
        to_ours(state, 'puzzle_resnet50')
    state['stage1.1.bias'] = torch.zeros(64)
    assert list(to_ours(state, 'puzzle_resnet50')) == ['backbone.bn1.bias']
    with pytest.raises(ValueError, match=r'unknown to the layout .*stage1\.1\.scale'):
        to_ours({'stage1.1.scale': torch.zeros(64)}, 'puzzle_resnet50')


def test_tensors_that_a_file_holds_twice_are_left_out():
    state = placeholders('puzzle_affnet_r50')
    assert sum(key.startswith('model.') for key in state) == 318
    twice = {
        'stage1.0.weight': state['model.conv1.weight'],
        'backbone.1.0.0.conv1.weight': state['model.layer1.0.conv1.weight'],
        'edge_layers.5.bias': state['fc_edge6.bias'],
        'path_indices_0': torch.zeros(4, dtype=torch.int64),
    }
    assert detect_layout([*state, *twice]) == 'puzzle_affnet_r50'
    ours = to_ours({**state, **twice}, 'puzzle_affnet_r50')
    assert ours.keys() == to_ours(state, 'puzzle_affnet_r50').keys()
    with pytest.raises(ValueError, match='unknown to the layout'):
        to_ours(twice, 'resnet38')


@EACH_LAYOUT
def test_there_and_back_again(layout):
    state = placeholders(layout)
    back = to_reference(to_ours(state, layout), layout)
    assert list(back) == list(state)
    assert all(back[key] is state[key] for key in state)


def test_names_by_example():
    names = {
        'b4_3.bn_branch2b1.running_var': 'backbone.b4_3.bn_branch2b1.running_var',
        'fc8.weight': 'decode_head.classifier.weight',
        'f8_3.weight': 'neck.f8_3.weight',
        'f9.weight': 'neck.f9.weight',
    }
    state = {key: torch.full((), float(i)) for i, key in enumerate(names)}
    ours = to_ours(state, 'resnet38_seam')
    assert ours == {names[key]: value for key, value in state.items()}
    fov = {'bn_fov2.bias': torch.ones(1), 'cls_conv.bias': torch.zeros(1)}
    assert list(to_ours(fov, 'seam_deeplabv1')) == [
        'decode_head.conv_fov2.bn.bias',
        'decode_head.conv_seg.bias',
    ]


@EACH_LAYOUT
@pytest.mark.parametrize(('counters', 'prefix'), [(True, ''), (False, 'module.')])
def test_layouts_are_told_apart(layout, counters, prefix):
    state = placeholders(layout)
    state = state if counters else without_counters(state)
    # EfficientNet-Lite 1 and 2 have the same names.
    alike = layout.startswith('wheel')
    shapes = {k: tuple(v.shape) for k, v in state.items()} if alike else None
    assert detect_layout((prefix + key for key in state), shapes) == layout


def test_shapes_decide_between_layouts_of_the_same_names():
    state = placeholders('caffe_vgg16_largefov')
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    assert detect_layout(state, shapes) == 'caffe_vgg16_largefov'
    full = {'fc6.weight': (4096, 25088), 'fc7.weight': (4096, 4096)}
    assert detect_layout(state, shapes | full) == 'caffe_vgg16'


def test_unknown_names_are_listed():
    state = {'conv1a.weight': torch.zeros(1), 'b9.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unknown to the layout 'resnet38': b9\.w"):
        to_ours(state, 'resnet38')
    with pytest.raises(ValueError, match=r'auxiliary_head\.conv'):
        to_reference({'auxiliary_head.conv': torch.zeros(1)}, 'resnet38_seam')
    keys = [key for key in placeholders('resnet38_psa_cls') if key != 'bn7.bias']
    with pytest.raises(
        ValueError, match=r'resnet38_psa_cls: missing bn7\.bias, unknown odd'
    ):
        detect_layout([*keys, 'odd'])
    with pytest.raises(ValueError, match=r'b2\.oops\.num_batches_tracked'):
        to_ours({'b2.oops.num_batches_tracked': torch.zeros(())}, 'resnet38')


def test_module_prefix_goes_only_if_all_names_have_it():
    one = torch.zeros(1)
    stripped = to_ours({'module.conv1a.weight': one}, 'resnet38')
    assert list(stripped) == ['backbone.conv1a.weight']
    mixed = {'module.conv1a.weight': one, 'bn7.weight': one}
    with pytest.raises(ValueError, match=r'module\.conv1a\.weight'):
        to_ours(mixed, 'resnet38')
    assert list(mixed) == ['module.conv1a.weight', 'bn7.weight']


def test_an_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="unknown layout 'vgg'; known are resnet38,"):
        to_ours({}, 'vgg')


@pytest.mark.parametrize(
    'layout',
    [
        *('torchvision_resnet18', 'torchvision_resnet101', 'torchvision_vgg16'),
        *('torchvision_mobilenet_v2', 'mmpretrain_resnet18', 'mmpretrain_resnetv1c50'),
        *('mmpretrain_resnest50', 'mmpretrain_vgg16', 'mmpretrain_mobilenet_v2'),
    ],
)
def test_names_are_those_of_the_projects_that_release_them(layout):
    project, name = layout.split('_', 1)
    if project == 'torchvision':
        models = pytest.importorskip('torchvision.models')
        with torch.device('meta'):
            found = shapes_of(getattr(models, name)())
    else:
        backbones = pytest.importorskip('mmpretrain.models.backbones')
        kind, options = {
            'resnet18': ('ResNet', dict(depth=18)),
            'resnetv1c50': ('ResNetV1c', dict(depth=50)),
            'resnest50': ('ResNeSt', dict(depth=50)),
            'vgg16': ('VGG', dict(depth=16)),
            'mobilenet_v2': ('MobileNetV2', {}),
        }[name]
        shapes = shapes_of(getattr(backbones, kind)(**options))
        found = {f'backbone.{key}': shape for key, shape in shapes.items()}
    dropped = tuple(DROPPED[layout])
    kept = {key: shape for key, shape in found.items() if not key.startswith(dropped)}
    assert kept == layout_shapes(layout)
