import io
import random
import struct
import zlib

import numpy as np
import pytest

from wsss_mm.convert.mat_file import MOST_BYTES, read_struct_mask

savemat = pytest.importorskip('scipy.io').savemat
MASK = np.random.default_rng(0).integers(0, 21, (7, 5)).astype(np.uint8)
SIZES = [(7, 5), (1, 1), (1, 3), (2, 2), (8, 8)]


def written(mask, *, packed=True, **more):
    """A file as SBD's: a mask between a cell and a short row in a struct."""
    boundaries = np.empty((2, 1), object)
    boundaries[:] = [[np.eye(3)], [np.zeros((0, 0))]]
    fields = dict(Boundaries=boundaries, Segmentation=mask)
    fields['CategoriesPresent'] = np.array([[1, 2]], np.uint8)
    file = io.BytesIO()
    savemat(file, {'odd': np.arange(3), 'GTcls': fields, **more}, do_compression=packed)
    return file.getvalue()


def read(data):
    return read_struct_mask(data, 'a.mat', variable='GTcls', field='Segmentation')


def swapped(data):
    """Turn the words of an unpacked file of one small uint8 struct around by hand."""

    def element(kind, content):
        padding = bytes(-len(content) % 8)
        return struct.pack('>II', kind, len(content)) + content + padding

    def matrix(kind, shape, name, *rest):
        head = element(6, struct.pack('>II', kind, 0))
        head += element(5, struct.pack('>ii', *shape)) + element(1, name)
        return element(14, head + b''.join(rest))

    mask = matrix(9, data.shape, b'', element(2, data.tobytes(order='F')))
    names = struct.pack('>HHi', 4, 5, 32) + element(1, b'Segmentation'.ljust(32, b'\0'))
    return bytes(124) + b'\x01\x00MI' + matrix(2, (1, 1), b'GTcls', names, mask)


@pytest.mark.parametrize('packed', [True, False])
@pytest.mark.parametrize('size', SIZES)
def test_what_scipy_wrote_is_read(packed, size):
    mask = np.resize(MASK, size)
    found = read(written(mask, packed=packed))
    assert found.dtype == np.uint8
    assert found.flags.writeable
    np.testing.assert_array_equal(found, mask)


def test_the_other_byte_order():
    np.testing.assert_array_equal(read(swapped(MASK)), MASK)


def packed_again(body):
    content = zlib.compress(body)
    return written(MASK)[:128] + struct.pack('<II', 15, len(content)) + content


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'byte 0: the header needs 128 bytes, but 0 are left'),
        (b'\x89HDF' + bytes(200), 'byte 126: expected a MATLAB file of version 5'),
        (written(MASK)[:-30], r'byte \d+: a variable needs \d+ bytes, but \d+ are'),
        (written(MASK)[:128], "byte 128: there is no variable 'GTcls'"),
        (written(MASK.astype(float)), r'Segmentation is not a uint8 matrix: class 6'),
        (written(np.zeros((2, 2, 2), np.uint8)), r'not a uint8 matrix: .*\(2, 2, 2\)'),
        (written(np.zeros((0, 2), np.uint8)), r'not a uint8 matrix: .*\(0, 2\)'),
        (written(MASK, GTcls=np.eye(2)), "'GTcls' is not a struct of one element"),
        (written(MASK, GTcls={'a': 1}), "there is no field 'Segmentation'"),
        (packed_again(bytes(MOST_BYTES + 1)), 'variable has more than 67108864 bytes'),
        (packed_again(struct.pack('<II', 14, 1 << 31)), r'a\.mat \(unpacked\): byte 8'),
    ],
)
def test_bad_files_are_refused(data, message):
    with pytest.raises(ValueError, match=message) as error:
        read(data)
    assert str(error.value).startswith('a.mat')


def forge(data, at, rng):
    """Make a number extreme."""
    extreme = rng.choice((0, 1, -1, 1 << 30, -(1 << 31)))
    data[at : at + 4] = struct.pack('<i', extreme)


def test_damaged_files_give_clean_errors(mutated):
    rng, refused = random.Random(0), []
    files = [written(MASK), written(MASK, packed=False)]
    body = files[1][128:]
    for i in range(10_000):
        if i % 3 == 2:
            data = packed_again(mutated(body, rng, forge))
        else:
            data = mutated(files[i % 3], rng, forge)
        try:
            found = read(data)
        except ValueError as error:
            refused.append(str(error))
        else:
            assert found.size < 1_000
    assert 4_000 < len(refused) < 10_000
    assert all(text.startswith('a.mat') and 'byte' in text for text in refused)
