"""Files in released layouts, converted, give the recorded numbers."""

import importlib.util
import struct

import pytest
import torch
from mmengine.config import Config
from torch import nn

import wsss_mm.models  # noqa: F401
from wsss_mm.io.backbone_layouts import BACKBONE_TABLES
from wsss_mm.io.checkpoint_keys import to_ours
from wsss_mm.io.checkpoint_layouts import DUPLICATES
from wsss_mm.registry import MODELS


@pytest.fixture(scope='module')
def converted(root, tmp_path_factory):
    """Write a file, convert it by the tool and give our tensors."""
    path = root / 'tools' / 'model_converters' / 'convert.py'
    spec = importlib.util.spec_from_file_location('convert', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = tmp_path_factory.mktemp('converted')

    def convert(write):
        source, target = folder / 'released', folder / 'ours.pth'
        try:
            write(source)
            tool.main([str(source), str(target)])
            return torch.load(target, weights_only=True)['state_dict']
        finally:
            # The networks are large, and pytest keeps its folders.
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    return convert


def network(backbone, **heads):
    model = nn.Module()
    model.backbone = MODELS.build(backbone)
    for name, config in heads.items():
        setattr(model, name, MODELS.build(config))
    return model.eval()


def load(model, state):
    model.load_state_dict(state)
    return model


def write_params(path, state):
    """Write a backbone as ademxapp's MXNet model, with arrays of each version."""
    names = {
        ours: name for name, (ours, _) in BACKBONE_TABLES['mxnet_resnet38'].items()
    }
    ours = to_ours({k: v for k, v in state.items() if k != 'fc8.weight'}, 'resnet38')
    with open(path, 'wb') as file:
        file.write(struct.pack('<QQQ', 0x112, 0, len(ours)))
        for i, tensor in enumerate(ours.values()):
            head, size = [('', 'I'), ('I', 'q'), ('Ii', 'q')][i % 3]
            words = [(), (0xF993FAC8,), (0xF993FAC9, 0)][i % 3]
            shape = struct.pack(f'<{tensor.ndim}{size}', *tensor.shape)
            file.write(struct.pack(f'<{head}I', *words, tensor.ndim) + shape)
            file.write(struct.pack('<iii', 1, 0, 0))
            file.write(tensor.numpy().tobytes())
        file.write(struct.pack('<Q', len(ours)))
        for key in ours:
            name = names[key].encode()
            file.write(struct.pack('<Q', len(name)) + name)


def test_mxnet_file_of_resnet38(converted, reference_weights, golden, assert_maps):
    recorded = golden('net_psa_resnet38_cls_72x96')
    state = reference_weights.reference_state('resnet38_psa_cls', rule='a', classes=20)
    ours = converted(lambda path: write_params(path, state))
    ours['decode_head.classifier.weight'] = state['fc8.weight']
    head = dict(type='CAMHead', in_channels=4096, num_classes=21)
    model = load(network(dict(type='ResNet38d'), decode_head=head), ours)
    with torch.no_grad():
        conv6 = model.backbone(reference_weights.network_input(1, 72, 96))[-1]
        cam = model.decode_head.classifier(conv6)
    assert_maps(cam.mean(dim=(2, 3)), recorded['logit'])
    assert_maps(cam.relu(), recorded['cam'])


def test_seam_checkpoint(converted, reference_weights, golden, assert_maps, root):
    recorded = golden('net_seam_72x96')
    state = reference_weights.reference_state('resnet38_seam', rule='a', classes=21)
    ours = converted(lambda path: torch.save(state, path))
    config = Config.fromfile(root / 'configs/_base_/models/seam_r38.py').model
    config.decode_head.num_classes = 21
    model = load(MODELS.build(config), ours).eval()
    with torch.no_grad():
        features = model.extract_feat(reference_weights.network_input(1, 72, 96))
        refined, _ = model.decode_head.predict(features, (72, 96))
    assert_maps(refined, recorded['cam_rv'][:, 1:])


def varint(value):
    out = b''
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def write_caffemodel(path, state):
    with open(path, 'wb') as file:
        for layer in dict.fromkeys(key.split('.')[0] for key in state):
            body = message(1, layer.encode())
            for tensor in (state[f'{layer}.weight'], state[f'{layer}.bias']):
                shape = message(7, message(1, b''.join(map(varint, tensor.shape))))
                body += message(7, shape + message(5, tensor.numpy().tobytes()))
            file.write(message(100, body))


def test_caffemodel_of_vgg16(converted, reference_weights, golden, assert_maps):
    recorded = golden('net_psa_vgg16_cls_72x96')
    state = reference_weights.reference_state('vgg16_psa_cls', rule='a', classes=20)
    fc8 = state.pop('fc8.weight')
    ours = converted(lambda path: write_caffemodel(path, state))
    ours['decode_head.classifier.weight'] = fc8
    head = dict(type='SqrtCAMHead', in_channels=1024, num_classes=21)
    backbone = dict(type='VGG16WSSS', fc6_dilation=1)
    model = load(network(backbone, decode_head=head), ours)
    with torch.no_grad():
        features = model.backbone(reference_weights.network_input(1, 72, 96))
        cam, logits = model.decode_head.predict(features, (72, 96))
    assert_maps(logits, recorded['logit'])
    assert_maps(cam.square(), recorded['cam'] ** 2)


@pytest.mark.parametrize(
    'layout',
    ['vgg16_psa_aff', 'puzzle_resnest50', 'puzzle_affnet_r50', 'irn_resnet50'],
)
def test_the_other_files_give_the_weights_that_meet_their_numbers(
    layout, converted, reference_weights
):
    # The other tests of this folder load these very tensors and compare the outputs.
    state = reference_weights.reference_state(layout, rule='a', classes=20)
    copies = {
        copy + key.removeprefix(original): tensor
        for copy, original in DUPLICATES.get(layout, {}).items()
        for key, tensor in state.items()
        if key.startswith(original)
    }
    if layout == 'puzzle_affnet_r50':
        copies['path_indices_0'] = torch.zeros(4, 99, dtype=torch.int64)
    found = converted(lambda path: torch.save({**state, **copies}, path))
    counters = {key for key in found if key.endswith('num_batches_tracked')}
    expected = to_ours(state, layout)
    assert found.keys() - counters == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())
