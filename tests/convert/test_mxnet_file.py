import random
import struct

import numpy as np
import pytest

from wsss_mm.convert.byte_reader import ByteReader
from wsss_mm.convert.mxnet_file import parse_mxnet_params, read_mxnet_params

TYPES = {'f4': 0, 'f8': 1, 'f2': 2, 'u1': 3, 'i4': 4, 'i1': 5, 'i8': 6}
VERSIONS = ('legacy', 'V1', 'V2')


def packed_array(array, version='V2', *, kind=None, shape=None):
    """One array as MXNet writes it, or with a false type or shape."""
    kind = TYPES[array.dtype.str[1:]] if kind is None else kind
    shape = array.shape if shape is None else shape
    wide = {'V1': 0xF993FAC8, 'V2': 0xF993FAC9}.get(version)
    head = b'' if wide is None else struct.pack('<I', wide)
    head += struct.pack('<i', 0) if version == 'V2' else b''
    dims = struct.pack(f'<{len(shape)}{"I" if wide is None else "q"}', *shape)
    head += struct.pack('<I', len(shape)) + dims
    return head + struct.pack('<iii', 1, 0, kind) + array.tobytes()


def packed_list(blocks, names, *, magic=0x112, count=None):
    count = len(blocks) if count is None else count
    texts = [name if isinstance(name, bytes) else name.encode() for name in names]
    tail = b''.join(struct.pack('<Q', len(text)) + text for text in texts)
    head = struct.pack('<QQQ', magic, 0, count)
    return head + b''.join(blocks) + struct.pack('<Q', len(names)) + tail


def parse(data):
    return parse_mxnet_params(ByteReader(data, 'net.params'))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        'arg:conv1a_weight': rng.normal(size=(4, 3, 3, 3)).astype('f4'),
        'aux:bn7_moving_var': rng.normal(size=7).astype('f8'),
        'arg:half': rng.normal(size=(1, 5)).astype('f2'),
        **{f'arg:{t}': rng.integers(0, 99, 6).astype(t) for t in ('u1', 'i4', 'i8')},
    }


@pytest.mark.parametrize('version', VERSIONS)
def test_what_was_written_is_read(arrays, version, tmp_path):
    path = tmp_path / 'net.params'
    blocks = [packed_array(array, version) for array in arrays.values()]
    path.write_bytes(packed_list(blocks, arrays))
    found = read_mxnet_params(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable


def test_versions_may_be_mixed_in_one_file(arrays):
    data = packed_list(
        [
            packed_array(array, VERSIONS[i % 3])
            for i, array in enumerate(arrays.values())
        ],
        arrays,
    )
    found = parse(data)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


ONE = np.ones((2, 3), 'f4')
BLOCK = packed_array(ONE)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', r'byte 0: the head of the file needs 16 bytes, but 0 are left'),
        (packed_list([], [], magic=0x113), r'byte 0: expected the word 0x112.*0x113'),
        (packed_list([BLOCK], ['a'], count=1 << 60), r'byte 16: \d+ arrays, at most'),
        (packed_list([BLOCK], ['a'])[:60], r'array 0 of 1, shape \(2, 3\).*are left'),
        (packed_list([BLOCK], ['a'])[:-1], r'name of array 0 of 1 needs 1 bytes'),
        (packed_list([BLOCK], ['a']) + b'!', r'byte \d+: 1 bytes after the last name'),
        (packed_list([BLOCK] * 2, ['a']), r'byte 152: 1 names for 2 arrays'),
        (packed_list([BLOCK] * 2, ['a', 'a']), r'array 1 has the name of another: \'a'),
        (packed_list([BLOCK], [b'\xff']), r'name of array 0 of 1 is not UTF-8'),
        (
            packed_list([packed_array(ONE, kind=7)], ['a']),
            r'byte 60: array 0 of 1, shape \(2, 3\): unknown type 7',
        ),
        (
            packed_list([packed_array(ONE, kind=-1)], ['a']),
            'unknown type -1',
        ),
        (
            packed_list([BLOCK, packed_array(ONE, shape=(2, -3))], ['a', 'b']),
            r'byte 100: array 1 of 2 has the shape \(2, -3\); sizes must be positive',
        ),
        (
            packed_list([packed_array(ONE, 'legacy', shape=(0, 3))], ['a']),
            r'byte 28: array 0 of 1 has the shape \(0, 3\)',
        ),
        (
            packed_list([packed_array(ONE, shape=(1 << 40, 1 << 22))], ['a']),
            r'type float32 needs 18446744073709551616 bytes, but \d+ are left',
        ),
        (
            packed_list([packed_array(ONE, shape=(1,) * 33)], ['a']),
            r'byte 32: array 0 of 1 has 33 dimensions, at most 32',
        ),
        (
            packed_list([packed_array(ONE, shape=())], ['a']),
            r'array 0 of 1 has no dimensions',
        ),
        (
            packed_list([struct.pack('<Ii', 0xF993FAC9, 1)], ['a']),
            r'byte 28: array 0 of 1 has storage type 1; only dense',
        ),
        (
            packed_list([struct.pack('<Ii', 0xF993FACA, 0)], ['a']),
            r'byte 24: array 0 of 1 has version 3',
        ),
        (
            packed_list([struct.pack('<Q', 0x12345678)], ['a']),
            r'byte 24: .*0x12345678 is not a version',
        ),
    ],
)
def test_bad_files_are_refused(data, message):
    with pytest.raises(ValueError, match=r'net\.params: .*' + message):
        parse(data)


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(ValueError, match=r'none\.params: No such file'):
        read_mxnet_params(tmp_path / 'none.params')
    (tmp_path / 'empty.params').touch()
    with pytest.raises(ValueError, match=r'empty\.params: the file is empty'):
        read_mxnet_params(tmp_path / 'empty.params')


def forge(data, at, rng):
    """Make a number extreme."""
    extreme = rng.choice((0, 1, -1, 1 << 31, 1 << 62, -(1 << 62)))
    data[at : at + 8] = struct.pack('<q', extreme)


def test_damaged_files_give_clean_errors(arrays, mutated):
    rng = random.Random(0)
    files = [
        packed_list([packed_array(a, v) for a in arrays.values()], arrays)
        for v in VERSIONS
    ]
    refused = []
    for i in range(10_000):
        try:
            found = parse(mutated(files[i % 3], rng, forge))
        except ValueError as error:
            refused.append(str(error))
        else:
            assert sum(array.nbytes for array in found.values()) < 10_000
    assert 5_000 < len(refused) < 10_000
    assert all('net.params: byte' in message for message in refused)
