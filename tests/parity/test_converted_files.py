"""Files in released layouts, converted, give the recorded numbers."""

import struct

import pytest
import torch

from wsss_mm.convert.backbone_layouts import BACKBONE_TABLES
from wsss_mm.convert.checkpoint_keys import layout_shapes, to_ours


def test_every_network_vector_is_met_through_a_converted_file(
    shared, reference_weights
):
    # The other tests of this folder take their networks from the same table.
    recorded = {path.stem for path in shared.glob('golden/net_*.npz')}
    assert recorded == set(reference_weights.NETWORKS)


def without_counters(state):
    return {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}


def check_weights(converted, expected):
    """Compare with weights that meet the recorded numbers in the other tests."""
    found = without_counters(converted)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def backbone_of(layout, reference_weights):
    """A network's backbone by our name, and by its released one."""
    state = reference_weights.reference_state(layout, rule='a', classes=20)
    ours = to_ours(state, layout)
    released = {
        theirs: state[theirs]
        for theirs, mine in zip(state, ours)
        if mine.startswith('backbone.')
    }
    return {k: v for k, v in ours.items() if k.startswith('backbone.')}, released


@pytest.mark.parametrize('backbone', ['resnet50', 'resnest50', 'resnest101'])
def test_published_backbones(backbone, converted, reference_weights):
    expected, released = backbone_of(f'puzzle_{backbone}', reference_weights)
    state = {key.removeprefix('model.'): tensor for key, tensor in released.items()}
    state |= {'fc.weight': torch.ones(1000, 2048), 'fc.bias': torch.ones(1000)}
    check_weights(converted(lambda path: torch.save(state, path)), expected)


def write_params(path, state):
    """Write a backbone as ademxapp's MXNet model, with arrays of each version."""
    names = {
        ours: name for name, (ours, _) in BACKBONE_TABLES['mxnet_resnet38'].items()
    }
    with open(path, 'wb') as file:
        file.write(struct.pack('<QQQ', 0x112, 0, len(state)))
        for i, tensor in enumerate(state.values()):
            head, size = [('', 'I'), ('I', 'q'), ('Ii', 'q')][i % 3]
            words = [(), (0xF993FAC8,), (0xF993FAC9, 0)][i % 3]
            shape = struct.pack(f'<{tensor.ndim}{size}', *tensor.shape)
            file.write(struct.pack(f'<{head}I', *words, tensor.ndim) + shape)
            file.write(struct.pack('<iii', 1, 0, 0))
            file.write(tensor.numpy().tobytes())
        file.write(struct.pack('<Q', len(state)))
        for key in state:
            name = names[f'backbone.{key}'].encode()
            file.write(struct.pack('<Q', len(name)) + name)


def test_mxnet_file_of_resnet38(converted, reference_weights):
    expected, released = backbone_of('resnet38_psa_cls', reference_weights)
    check_weights(converted(lambda path: write_params(path, released)), expected)


@pytest.fixture
def write_caffemodel(protobuf):
    """Write layers of a weight and a bias, a layer at a time."""
    varint, message = protobuf.varint, protobuf.message

    def write(path, state):
        with open(path, 'wb') as file:
            for layer in dict.fromkeys(key.split('.')[0] for key in state):
                body = message(1, layer.encode())
                for tensor in (state[f'{layer}.weight'], state[f'{layer}.bias']):
                    shape = message(7, message(1, b''.join(map(varint, tensor.shape))))
                    body += message(7, shape + message(5, tensor.numpy().tobytes()))
                file.write(message(100, body))

    return write


def test_caffemodel_of_vgg16(converted, reference_weights, write_caffemodel):
    expected, released = backbone_of('vgg16_psa_cls', reference_weights)
    check_weights(converted(lambda path: write_caffemodel(path, released)), expected)


@pytest.mark.parametrize(
    ('layout', 'config'),
    [
        ('seam_deeplabv1', 'seam/seam_r38_voc_deeplabv1.py'),
        ('seenet_vgg16', 'seenet/seenet_vgg16_voc.py'),
        ('puzzle_resnest269', 'puzzle_cam/puzzle_cam_resnest269_voc.py'),
        (
            'puzzle_affnet_resnest101',
            'puzzle_cam/puzzle_cam_resnest101_voc_affinity.py',
        ),
        (
            'puzzle_deeplabv3plus_resnest101',
            'puzzle_cam/puzzle_cam_resnest101_voc_deeplabv3plus.py',
        ),
    ],
)
def test_networks_without_recorded_numbers_load_whole(
    layout, config, converted, build_config, write_caffemodel
):
    classes = 21 if 'deeplab' in layout else 20
    state = {
        key: torch.full((), float(i)).expand([classes if n is None else n for n in s])
        for i, (key, s) in enumerate(layout_shapes(layout).items())
    }
    if layout == 'seenet_vgg16':
        ours = converted(lambda path: write_caffemodel(path, state))
    else:
        ours = converted(lambda path: torch.save(state, path))
    with torch.device('meta'):
        model = build_config(config)
    model.load_state_dict(ours, assign=True)
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
