import pytest
import torch
from mmseg.models.backbones import ResNeSt
from mmseg.models.backbones.resnest import Bottleneck

from wsss_mm.io.checkpoint_keys import (
    LAYOUTS,
    detect_layout,
    layout_shapes,
    load_reference,
    to_ours,
    to_reference,
)
from wsss_mm.io.checkpoint_layouts import DUPLICATES
from wsss_mm.models import backbones  # noqa: F401
from wsss_mm.models.decode_heads.deeplabv1_head import DeepLabV1Head
from wsss_mm.registry import MODELS

PUZZLE_CAM = [layout for layout in LAYOUTS if layout.startswith('puzzle_resne')]
PUZZLE_EDGE = [layout for layout in LAYOUTS if layout.startswith('puzzle_affnet')]
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


def our_model(layout):
    """Our network of a layout as a name to shape mapping."""
    # Backbone, and everything else with its input channels.
    affinity = dict(type='AffinityHead')
    pooled = {'decode_head': dict(type='CAMHead', num_classes=21)}
    heads = {
        'resnet38': {},
        'resnet38_psa_aff': {'decode_head': affinity},
        'vgg16_psa_cls': {'decode_head': dict(type='CAMHead', num_classes=21)},
        'vgg16_psa_aff': {'decode_head': dict(norm_groups=(8, 16, 32), **affinity)},
        **{key: {'decode_head': dict(type='EdgeHead')} for key in PUZZLE_EDGE},
        **dict.fromkeys((*PUZZLE_CAM, 'irn_resnet50'), pooled),
        'resnet38_psa_cls': {'decode_head': dict(type='CAMHead', num_classes=21)},
        'resnet38_seam': {
            'decode_head': dict(type='SEAMHead', num_classes=21),
            'neck': dict(type='PCMNeck'),
        },
        'seam_deeplabv1': {'decode_head': dict(type='DeepLabV1Head', num_classes=21)},
    }[layout]
    stem = 64 if layout.endswith('50') else 128
    edges = (stem, 256, 512, 1024, 2048)
    channels = {'AffinityHead': (512, 1024, 4096), 'EdgeHead': edges}
    backbone = dict(type='ResNet38d')
    last = 4096
    if layout.startswith('vgg16'):
        channels['AffinityHead'], last = (512, 512, 1024), 1024
        backbone = dict(type='VGG16WSSS')
    if layout.endswith(('r50', 'resnet50')):
        backbone, last = dict(type='ResNetStem', depth=50), 2048
    if 'resnest' in layout:
        depth = int(layout.rpartition('resnest')[-1])
        backbone = dict(type=ResNeStOfAnyDepth, depth=depth, stem_channels=stem)
        last = 2048
    with torch.device('meta'):
        parts = {'backbone': MODELS.build(backbone)}
        for name, config in heads.items():
            inputs = None if name == 'neck' else channels.get(config['type'], last)
            extra = {} if inputs is None else {'in_channels': inputs}
            parts[name] = MODELS.build({**config, **extra})
    return {
        f'{part}.{key}': tuple(value.shape)
        for part, module in parts.items()
        for key, value in module.state_dict().items()
    }


@EACH_LAYOUT
def test_every_tensor_of_our_models_has_its_counterpart(layout):
    with_background = ('resnet38_seam', 'seam_deeplabv1')
    classes = 21 if layout in with_background else 20
    ours = to_ours(placeholders(layout, classes), layout)
    found = {key: tuple(tensor.shape) for key, tensor in ours.items()}
    assert found == our_model(layout)


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
@pytest.mark.parametrize('counters', [True, False])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_layouts_are_told_apart(layout, counters, prefix):
    state = placeholders(layout)
    state = state if counters else without_counters(state)
    assert detect_layout(prefix + key for key in state) == layout


def test_unknown_names_are_listed():
    state = {'conv1a.weight': torch.zeros(1), 'b9.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unknown to the layout 'resnet38': b9\.w"):
        to_ours(state, 'resnet38')
    with pytest.raises(ValueError, match=r'auxiliary_head\.conv'):
        to_reference({'auxiliary_head.conv': torch.zeros(1)}, 'resnet38_seam')
    with pytest.raises(ValueError, match=r'resnet38_psa_cls: missing b2.*unknown nons'):
        detect_layout(['nonsense'])
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


@pytest.fixture(scope='module')
def small():
    """A checkpoint with true names whose file stays small."""
    state = without_counters(placeholders('resnet38_psa_cls', classes=20))
    return {key: value.half() for key, value in state.items()}


def test_a_file_is_read(tmp_path, small):
    path = tmp_path / 'cls.pth'
    # One stored number expands to every shape, so the file stays small.
    torch.save({f'module.{key}': value for key, value in small.items()}, path)
    state = load_reference(path)
    assert state['decode_head.classifier.weight'].shape == (20, 4096, 1, 1)
    assert len(state) == 192
    assert list(load_reference(path, 'resnet38_psa_cls')) == list(state)


def test_files_that_do_not_fit_are_refused(tmp_path, small):
    path = tmp_path / 'cls.pth'
    fc8 = {'fc8.weight': torch.zeros(20, 7, 1, 1)}
    torch.save({**small, **fc8}, path)
    message = (
        r"cls\.pth: fc8.weight has shape \(20, 7, 1, 1\), expected \('classes', 40"
    )
    with pytest.raises(ValueError, match=message):
        load_reference(path, 'resnet38_psa_cls')
    torch.save({k: v for k, v in small.items() if k != 'bn7.bias'}, path)
    with pytest.raises(ValueError, match=r'cls\.pth: .* missing: bn7\.bias'):
        load_reference(path, 'resnet38_psa_cls')
    with pytest.raises(ValueError, match=r'cls\.pth: .*fit no known layout'):
        load_reference(path)
    torch.save({**small, 'fc9.weight': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r'cls\.pth: .*unknown .*fc9\.weight'):
        load_reference(path, 'resnet38_psa_cls')


def test_files_that_are_no_state_dict_are_refused(tmp_path):
    path = tmp_path / 'cls.pth'
    with pytest.raises(ValueError, match=r'cls\.pth: no such file'):
        load_reference(path)
    path.write_bytes(b'not a checkpoint')
    with pytest.raises(ValueError, match=r'cls\.pth: not a checkpoint'):
        load_reference(path)
    torch.save({'state_dict': {}}, path)
    with pytest.raises(ValueError, match=r'cls\.pth: expected a plain dict of tensors'):
        load_reference(path)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(ValueError, match=r'cls\.pth: expected a plain dict of tensors'):
        load_reference(path)


def test_a_file_with_code_is_never_run(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save({'fc8.weight': DeepLabV1Head}, path)
    with pytest.raises(ValueError, match='not a checkpoint'):
        load_reference(path)
