import importlib.util
import math
import struct

import numpy as np
import pytest
import torch

from wsss_mm.convert.checkpoint_keys import layout_shapes
from wsss_mm.convert.checkpoint_layouts import TABLES


@pytest.fixture(scope='module')
def tool(root):
    spec = importlib.util.spec_from_file_location(
        'convert', root / 'tools' / 'model_converters' / 'convert.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def convert(tool, tmp_path, capsys):
    """Run the tool on a file; give what it wrote and printed."""

    def run(source, *options):
        target = tmp_path / 'new' / 'ours.pth'
        tool.main([str(source), str(target), *options])
        return torch.load(target, weights_only=True), capsys.readouterr().out

    return run


def save_released(path, layout, **changes):
    """A released file's names and shapes; one stored number keeps it small."""
    state = {
        key: torch.full((), float(i)).expand([21 if n is None else n for n in shape])
        for i, (key, shape) in enumerate(layout_shapes(layout).items())
    }
    torch.save({**state, **changes}, path)
    return state


@pytest.mark.parametrize('options', [[], ['--kind', 'resnet38_seam']])
def test_it_renames_every_tensor(convert, tmp_path, options):
    released = save_released(tmp_path / 'seam.pth', 'resnet38_seam')
    written, out = convert(tmp_path / 'seam.pth', *options)
    ours = written['state_dict']
    assert len(ours) == len(released) == 232
    assert torch.equal(ours['neck.f9.weight'], released['f9.weight'])
    assert torch.equal(ours['backbone.bn7.bias'], released['bn7.bias'])
    assert 'kind: resnet38_seam\nmapped: 232 tensors\n' in out
    assert 'ours.pth' in out


def test_there_and_back_again(convert, tmp_path):
    released = save_released(tmp_path / 'vgg.pth', 'vgg16_psa_cls')
    written, _ = convert(tmp_path / 'vgg.pth')
    torch.save(written, tmp_path / 'ours.pth')
    back, out = convert(tmp_path / 'ours.pth', '--to-reference', 'vgg16_psa_cls')
    assert list(back) == list(released)
    assert all(back[key].shape == released[key].shape for key in released)
    assert torch.equal(back['fc8.weight'], released['fc8.weight'])
    assert 'kind: vgg16_psa_cls\nwritten: 31 tensors' in out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            [],
            r'seam.pth: the tensor names fit no known layout. Nearest are: resnet38_s',
        ),
        (['--kind', 'resnet38_seam'], 'seam.pth: tensors unknown to the layout'),
        (['--to-reference', 'resnet38_seam'], 'seam.pth: tensors unknown to our mode'),
        (['--kind', 'resnet39'], "invalid choice: 'resnet39'"),
        (['--kind', 'resnet38', '--to-reference', 'resnet38'], 'not allowed with'),
    ],
)
def test_a_bad_file_ends_with_a_message_and_writes_nothing(
    tool, tmp_path, capsys, options, message
):
    source, target = tmp_path / 'seam.pth', tmp_path / 'ours.pth'
    save_released(source, 'resnet38_seam', extra=torch.zeros(1))
    with pytest.raises(SystemExit) as error:
        tool.main([str(source), str(target), *options])
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert not target.exists()


def write_params(path, arrays):
    """Write an MXNet file of the oldest kind: halves, the first of each array given."""
    with open(path, 'wb') as file:
        file.write(struct.pack('<QQQ', 0x112, 0, len(arrays)))
        for first, shape in arrays.values():
            file.write(struct.pack(f'<{len(shape) + 1}I', len(shape), *shape))
            file.write(struct.pack('<iiie', 1, 0, 2, first))
            # The rest are zeros that take no space on the disk.
            file.seek(2 * math.prod(shape) - 2, 1)
        file.write(struct.pack('<Q', len(arrays)))
        for name in arrays:
            file.write(struct.pack('<Q', len(name)) + name.encode())


@pytest.fixture
def caffemodel(protobuf):
    """Make a Caffe model whose blobs have four dimensions, as before 2014."""
    varint, message = protobuf.varint, protobuf.message

    def make(arrays):
        layers = []
        for layer in dict.fromkeys(name.rsplit('.', 1)[0] for name in arrays):
            body = [message(4, layer.encode())]
            for tensor in ('weight', 'bias'):
                array = arrays[f'{layer}.{tensor}']
                shape = enumerate((1,) * (4 - array.ndim) + array.shape, start=1)
                sizes = b''.join(varint(i << 3) + varint(n) for i, n in shape)
                body.append(message(6, sizes + message(5, array.tobytes())))
            layers.append(message(2, b''.join(body)))
        return b''.join(layers)

    return make


def numbered(layout):
    return {
        key: np.full(shape, i, 'f4')
        for i, (key, shape) in enumerate(layout_shapes(layout).items())
    }


def check_numbers(written, arrays, layout):
    for key, array in arrays.items():
        if key in TABLES[layout]:
            tensor = written['state_dict'][TABLES[layout][key][0]]
            assert tensor.shape == array.shape
            assert tensor.flatten()[0] == array.flat[0]


def test_mxnet_weights(convert, tmp_path):
    shapes = layout_shapes('mxnet_resnet38')
    arrays = {name: (i, shape) for i, (name, shape) in enumerate(shapes.items())}
    arrays['arg:linear1000_weight'] = (0, (1000, 4))
    arrays['arg:linear1000_bias'] = (0, (1000,))
    assert len(arrays) == 193
    path = tmp_path / 'ilsvrc-cls_rna-a1_cls1000_ep-0001.params'
    write_params(path, arrays)
    written, out = convert(path)
    for name, (ours, shape) in TABLES['mxnet_resnet38'].items():
        assert written['state_dict'][ours].shape == shape
        assert written['state_dict'][ours].flatten()[0] == arrays[name][0]
    assert 'kind: mxnet_resnet38\nmapped: 191 tensors\n' in out
    assert '2 tensors (classifier of ImageNet): arg:linear1000_bias' in out
    assert '37 counters' in out
    assert len(written['state_dict']) == 228


def test_mxnet_names_by_example():
    names = {theirs: ours for theirs, (ours, _) in TABLES['mxnet_resnet38'].items()}
    for theirs, ours in {
        'arg:conv1a_weight': 'conv1a.weight',
        'arg:res2a_branch1_weight': 'b2.conv_branch1.weight',
        'arg:res4b3_branch2b1_weight': 'b4_3.conv_branch2b1.weight',
        'aux:bn6a_branch2b2_moving_var': 'b6.bn_branch2b2.running_var',
        'arg:bn5b2_branch2a_beta': 'b5_2.bn_branch2a.bias',
        'arg:bn7_gamma': 'bn7.weight',
        'aux:bn7_moving_mean': 'bn7.running_mean',
    }.items():
        assert names[theirs] == f'backbone.{ours}'


def test_caffe_weights(convert, tmp_path, caffemodel):
    arrays = numbered('caffe_vgg16_largefov')
    more = {'fc8_voc12.weight': np.ones((21, 1024, 1, 1), 'f4')}
    more['fc8_voc12.bias'] = np.ones(21, 'f4')
    path = tmp_path / 'vgg16_20M.caffemodel'
    path.write_bytes(caffemodel(arrays | more))
    written, out = convert(path)
    check_numbers(written, arrays, 'caffe_vgg16_largefov')
    assert len(written['state_dict']) == 30
    assert 'dropped: 2 tensors (classifier of ImageNet): fc8_voc12.bias' in out
    # Without one of its layers it could pass for the original VGG-16 cut short.
    del arrays['fc7.weight'], arrays['fc7.bias']
    path.write_bytes(caffemodel(arrays))
    with pytest.raises(SystemExit):
        convert(path)


def test_seenet_weights(convert, tmp_path, caffemodel):
    arrays = {
        key: np.full([20 if n is None else n for n in shape], i, 'f4')
        for i, (key, shape) in enumerate(layout_shapes('seenet_vgg16').items())
    }
    path = tmp_path / 'seenet.caffemodel'
    path.write_bytes(caffemodel(arrays))
    written, out = convert(path)
    check_numbers(written, arrays, 'seenet_vgg16')
    assert 'kind: seenet_vgg16\nmapped: 38 tensors\n' in out


def test_a_cut_file_names_the_array_and_the_byte(tool, tmp_path, capsys):
    write_params(tmp_path / 'whole.params', {'arg:conv1a_weight': (1, (64, 3, 3, 3))})
    data = (tmp_path / 'whole.params').read_bytes()
    (tmp_path / 'cut.params').write_bytes(data[:500])
    with pytest.raises(SystemExit) as error:
        tool.main([str(tmp_path / 'cut.params'), str(tmp_path / 'ours.pth')])
    assert error.value.code == 2
    assert (
        'cut.params: byte 56: array 0 of 1, shape (64, 3, 3, 3), type float16 '
        'needs 3456 bytes, but 444 are left'
    ) in capsys.readouterr().err
    assert not (tmp_path / 'ours.pth').exists()
