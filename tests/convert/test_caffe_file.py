import random
import struct

import numpy as np
import pytest

from wsss_mm.convert.byte_reader import ByteReader
from wsss_mm.convert.caffe_file import parse_caffemodel, read_caffemodel

LAYOUTS = {'layer': (100, 1, 7), 'V1': (2, 4, 6)}


def varint(value):
    value &= (1 << 64) - 1
    out = b''
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(array, *, shape='new', packed=True, dims=None):
    dims = array.shape if dims is None else dims
    if shape == 'new':
        head = message(7, message(1, b''.join(map(varint, dims))))
    elif shape == 'unpacked':
        head = message(7, b''.join(number(1, size) for size in dims))
    else:
        dims = (1,) * (4 - len(dims)) + tuple(dims)
        head = b''.join(number(i, size) for i, size in enumerate(dims, start=1))
    field = {'f4': 5, 'f8': 8}[array.dtype.str[1:]]
    raw = array.tobytes()
    if packed:
        half = len(raw) // array.itemsize // 2 * array.itemsize
        return head + message(field, raw[:half]) + message(field, raw[half:])
    tag = varint(field << 3 | {5: 5, 8: 1}[field])
    size = array.itemsize
    values = [tag + raw[i : i + size] for i in range(0, len(raw), size)]
    return head + b''.join(values)


def network(layers, layout='layer'):
    """A network of raw blobs by layer, among fields and layers without weights."""
    field, name, blobs = LAYOUTS[layout]
    data = message(1, b'VGG') + message(field, message(name, b'relu1'))
    for key, raws in layers.items():
        body = message(name, key.encode())
        body += b''.join(message(blobs, raw) for raw in raws) + number(10, 1)
        data += message(field, body)
    return data + number(7, 0)


def parse(data):
    return parse_caffemodel(ByteReader(data, 'net.caffemodel'))


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    return {
        'conv1_1': [rng.normal(size=(4, 3, 3, 3)).astype('f4'), np.ones(4, 'f4')],
        'fc7': [rng.normal(size=(2, 5)).astype('f8')],
        'long': [rng.normal(size=700).astype('f4')],
    }


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('packed', [True, False])
@pytest.mark.parametrize('shape', ['new', 'unpacked', 'legacy'])
def test_what_was_written_is_read(weights, layout, packed, shape, tmp_path):
    path = tmp_path / 'net.caffemodel'
    raw = {
        key: [blob(array, shape=shape, packed=packed) for array in arrays]
        for key, arrays in weights.items()
    }
    path.write_bytes(network(raw, layout))
    found = read_caffemodel(path)
    assert list(found) == list(weights)
    for key, arrays in weights.items():
        assert len(found[key]) == len(arrays)
        for mine, array in zip(found[key], arrays):
            assert mine.dtype == array.dtype
            four = (1,) * (4 - array.ndim) + array.shape
            assert mine.shape == (four if shape == 'legacy' else array.shape)
            np.testing.assert_array_equal(mine.ravel(), array.ravel())
            assert mine.flags.writeable


def test_packed_and_single_values_may_follow_each_other():
    array = np.arange(9, dtype='f4')
    raw = blob(array[:5], dims=(9,)) + blob(array[5:], packed=False, dims=(9,))
    assert parse(network({'a': [raw]}))['a'][0].tolist() == array.tolist()


ONE = np.ones((2, 3), 'f4')
GOOD = network({'a': [blob(ONE)]})


@pytest.mark.parametrize(
    ('data', 'text'),
    [
        (b'', 'no layer with weights'),
        (network({}), 'no layer with weights in it; expected a .caffemodel'),
        (b'name: "VGG"', 'unknown wire type 6'),
        (
            network({'a': [blob(ONE)], 'b': [blob(ONE)]})[:-40],
            r'the network after layer 2 \(a\), field 100 needs \d+ bytes, but \d+ are',
        ),
        (
            GOOD[:-40],
            r'the network after layer 1 \(relu1\), field 100 needs \d+ bytes, but \d+ ',
        ),
        (number(0, 1), '0 is not a field number'),
        (b'\x80' * 11, 'a number of more than 10 bytes'),
        (varint(100 << 3) + b'\x01', r'layer 1: field 100 has wire type 0, expected 2'),
        (network({'a': [blob(ONE)] * 101}), r'layer 2 \(a\) has more than 100 blobs'),
        (network({'': [blob(ONE)]}), 'layer 2 has weights but no name'),
        (
            GOOD + network({'a': [blob(ONE)]}),
            r"layer 4 repeats the name 'a'",
        ),
        (
            network({'a': [blob(ONE, dims=(2, -3))]}),
            r'layer 2 \(a\), blob 0 has the shape \(2, -3\); sizes must be positive',
        ),
        (
            network({'a': [blob(ONE), blob(ONE, dims=(1 << 40, 1 << 40))]}),
            r'layer 2 \(a\), blob 1 has 6 values, but its shape .* means 1208925819',
        ),
        (
            network({'a': [blob(ONE, dims=(1,) * 33)]}),
            r'blob 0 has over 32 dimensions',
        ),
        (network({'a': [message(5, ONE.tobytes())]}), 'blob 0 has no shape'),
        (network({'a': [blob(ONE) + message(5, b'123')]}), '3 bytes of values of 4'),
        (
            network({'a': [blob(ONE) + blob(ONE.astype('f8'))]}),
            'both float and double',
        ),
        (network({'a': [number(5, 1)]}), 'field 5 has wire type 0, expected 5'),
        (network({'a': [b'\xad\x00' + bytes(4)]}), 'tag of several bytes'),
        (
            message(2, message(1, b'')),
            r"layer 1 is of Caffe's oldest format; .* upgrade_net_proto_binary",
        ),
        (message(100, message(1, b'\xff')), 'name of layer 1 is not UTF-8'),
    ],
)
def test_bad_files_are_refused(data, text):
    with pytest.raises(ValueError, match=r'net\.caffemodel: byte \d+: .*' + text):
        parse(data)


def forge(data, at, rng):
    """Make a length huge."""
    data[at : at + 1] = varint(rng.choice((1 << 31, 1 << 62, -1)))


def test_damaged_files_give_clean_errors(weights, mutated):
    rng = random.Random(0)
    small = {**weights, 'long': [weights['long'][0][:9]]}
    files = [
        network(
            {k: [blob(a, shape=s, packed=p) for a in v] for k, v in small.items()}, v1
        )
        for s, p, v1 in (('new', 1, 'layer'), ('legacy', 0, 'V1'), ('new', 0, 'V1'))
    ]
    refused = []
    for i in range(10_000):
        try:
            found = parse(mutated(files[i % 3], rng, forge))
        except ValueError as error:
            refused.append(str(error))
        else:
            arrays = [array for blobs in found.values() for array in blobs]
            assert sum(array.nbytes for array in arrays) < 10_000
    assert 5_000 < len(refused) < 10_000
    assert all('net.caffemodel: byte' in message for message in refused)


def test_a_long_row_of_short_runs_is_read_in_linear_time():
    pairs = struct.pack('<Bf', 0x2D, 1.0) + message(5, struct.pack('<f', 2.0))
    raw = message(7, message(1, varint(40_000))) + pairs * 20_000
    found = parse(network({'a': [raw]}))['a'][0]
    assert found.sum() == 60_000
