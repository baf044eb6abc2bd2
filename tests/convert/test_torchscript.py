"""TorchScript archives and .safetensors files are read, and nothing of them is run."""

import io
import json
import os
import pickle
import random
import struct
import warnings
import zipfile

import pytest
import torch
from torch import nn

from wsss_mm.convert.byte_reader import ByteReader
from wsss_mm.convert.module_pickle import interpret
from wsss_mm.convert.safetensors_file import parse_safetensors, read_safetensors
from wsss_mm.convert.torchscript import (
    is_torchscript,
    read_archive,
    read_torchscript,
)
from wsss_mm.utils.errors import InputError

# The full count is for `make verify`'s machine; CI takes a few hundred.
COUNT = int(os.environ.get('WSSS_MUTATIONS', '600'))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).view(2, 3))
        self.register_buffer('count', torch.tensor(7))
        self.note = 'text'
        self.sizes = [1, 2, 3]

    def forward(self, x):
        return x @ self.weight.t() + self.sizes[0]


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Inner(), Inner()])
        self.light = nn.Parameter(torch.randn(4, 5).half())
        self.turned = nn.Parameter(torch.randn(3, 2).t())
        self.scale = nn.Parameter(torch.tensor(2.5))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)[:, :1].expand(-1, 3)
        return x * self.scale


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return Outer()


@pytest.fixture(scope='module')
def archive(network, tmp_path_factory):
    path = tmp_path_factory.mktemp('script') / 'net.pt'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.jit.script(network).save(str(path))
    return path


def rewritten(path, **changes):
    """The bytes of an archive with some of its entries replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, 'w') as new:
        for name in old.namelist():
            content = old.read(name)
            key = name.rsplit('/', 1)[-1].replace('.', '_')
            new.writestr(name, changes.get(key, content))
    return out.getvalue()


def read_bytes(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return read_archive(archive)


def test_its_tensors_are_those_of_the_network(network, archive):
    assert is_torchscript(archive)
    found = read_torchscript(archive)
    wanted = network.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert tensor.dtype == wanted[name].dtype
        assert torch.equal(tensor, wanted[name])
        assert tensor.is_contiguous()


def test_a_state_dict_is_no_such_archive(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / 'net.pth')
    assert not is_torchscript(tmp_path / 'net.pth')
    assert not is_torchscript(tmp_path / 'none.pth')
    (tmp_path / 'text.pt').write_text('hello')
    assert not is_torchscript(tmp_path / 'text.pt')


class Calls:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_a_call_is_refused_and_not_run(archive, protocol, tmp_path):
    trap = tmp_path / 'trap'
    data = rewritten(archive, data_pkl=pickle.dumps({'a': Calls(trap)}, protocol))
    with pytest.raises(InputError, match=r'data\.pkl, byte \d+: it (calls|holds)'):
        read_bytes(data)
    assert not trap.exists()


def packed(*parts):
    return b'\x80\x02' + b''.join(parts) + b'.'


@pytest.mark.parametrize(
    'data, message',
    [
        (packed(b'}', b'}b'), 'no Module'),
        (packed(b'cposix\nsystem\n', b')\x81'), "object of 'posix system'"),
        (
            packed(b'cposix\nsystem\n', b'X\x02\x00\x00\x00id\x85R'),
            "calls 'posix system'",
        ),
        (packed(b't'), 'was not opened'),
        (packed(b'h\x05'), 'uses value 5'),
        (packed(b'\x85'), 'where there is none'),
        (packed(b'(}}'), 'ends in the middle'),
        (packed(b'}(K\x01u'), 'has no value'),
        (packed(b'K\x01Q'), 'not a storage'),
        (packed(b'\x93'), 'STACK_GLOBAL'),
    ],
)
def test_pickles_that_are_not_of_modules(data, message):
    with pytest.raises(InputError, match=message):
        interpret(data)


def tensor_pickle(
    kind=b'Float', size=6, offset=0, shape=b'K\x02K\x03', strides=b'K\x03K\x01'
):
    """A module with the tensor `w`, its sizes as they are given."""

    def number(value):
        return b'J' + struct.pack('<i', value)

    storage = (
        b'(X\x07\x00\x00\x00storage' + b'ctorch\n' + kind + b'Storage\n'
        b'X\x01\x00\x00\x000X\x03\x00\x00\x00cpu' + number(size) + b'tQ'
    )
    tensor = (
        b'ctorch._utils\n_rebuild_tensor_v2\n('
        + storage
        + number(offset)
        + b'('
        + shape
        + b't('
        + strides
        + b't\x89ccollections\nOrderedDict\n)RtR'
    )
    return packed(b'c__torch__\nNet\n)\x81}X\x01\x00\x00\x00w' + tensor + b'sb')


def zipped(pickled, values):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('net/data.pkl', pickled)
        archive.writestr('net/data/0', values)
        archive.writestr('net/constants.pkl', b'')
    return out.getvalue()


def test_a_tensor_by_hand():
    values = struct.pack('<6f', *range(6))
    (tensor,) = read_bytes(zipped(tensor_pickle(), values)).values()
    assert tensor.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(size=5), 'beyond the 5 values'),
        (dict(offset=1), 'beyond the 6 values'),
        (dict(offset=-1), 'no place'),
        (dict(strides=b'K\x04K\x01'), 'beyond'),
        (dict(shape=b'K\x02J\xff\xff\xff\xff'), 'no shape'),
        (dict(shape=b'K\x02'), 'no place'),
        (dict(size=7), 'where 28 are expected'),
        (dict(size=1 << 30), r'24 bytes where 4294967296'),
        (dict(kind=b'Double'), '24 bytes where 48'),
        (dict(kind=b'QInt8'), "'torch QInt8Storage', which is not read"),
    ],
)
def test_forged_tensors_are_refused(change, message):
    values = struct.pack('<6f', *range(6))
    with pytest.raises(InputError, match=message):
        read_bytes(zipped(tensor_pickle(**change), values))


def test_modules_that_hold_each_other_come_to_an_end():
    # One dict after the other holds the one before it twice: 2 ** 60 ways through.
    rings = b'K\x00}q\x00'
    for i in range(60):
        last, own = bytes([i]), bytes([i + 1])
        rings += b'K' + own + b'}q' + own
        rings += b'(K\x00h' + last + b'K\x01h' + last + b'u'
    pickled = packed(b'c__torch__\nNet\n)\x81}(', rings, b'ub')
    with pytest.raises(InputError, match='too many values'):
        read_bytes(zipped(pickled, b''))


def test_other_files(tmp_path, archive):
    missing = tmp_path / 'none.pt'
    with pytest.raises(InputError, match='damaged'):
        read_torchscript(missing)
    whole = archive.read_bytes()
    (tmp_path / 'cut.pt').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r'cut\.pt: the archive is damaged'):
        read_torchscript(tmp_path / 'cut.pt')


def forge(data, at, rng):
    data[at : at + 4] = struct.pack('<i', rng.choice((0, 1, -1, 1 << 30, 255)))


def test_damaged_archives_give_clean_errors(archive, mutated, tmp_path):
    """Half have a damaged pickle in a sound zip file, half damage anywhere."""
    rng = random.Random(0)
    whole = archive.read_bytes()
    with zipfile.ZipFile(archive) as sound:
        name = next(n for n in sound.namelist() if n.endswith('data.pkl'))
        pickled = sound.read(name)
    size = sum(t.nbytes for t in read_torchscript(archive).values())
    path, refused = tmp_path / 'mutated.pt', 0
    for i in range(COUNT):
        if i % 2:
            data = rewritten(archive, data_pkl=mutated(pickled, rng, forge))
        else:
            data = mutated(whole, rng, forge)
        path.write_bytes(data)
        try:
            found = read_torchscript(path)
        except InputError:
            refused += 1
        else:
            assert sum(tensor.nbytes for tensor in found.values()) <= 4 * size
    assert COUNT / 3 < refused < COUNT


# --- .safetensors


def safetensors(header, values=b''):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + values


def parse(data):
    return parse_safetensors(ByteReader(data, 'net.safetensors'))


ENTRY = dict(dtype='F32', shape=[2, 3], data_offsets=[0, 24])
VALUES = struct.pack('<6f', *range(6))


def test_safetensors(tmp_path):
    half = torch.tensor([1.5, -2], dtype=torch.float16)
    header = {
        '__metadata__': {'format': 'pt'},
        'w': ENTRY,
        'h': dict(dtype='F16', shape=[2], data_offsets=[24, 28]),
        'n': dict(dtype='I64', shape=[], data_offsets=[28, 36]),
        'none': dict(dtype='BF16', shape=[0, 3], data_offsets=[36, 36]),
    }
    values = VALUES + half.numpy().tobytes() + struct.pack('<q', -5)
    path = tmp_path / 'net.safetensors'
    path.write_bytes(safetensors(header, values))
    found = read_safetensors(path)
    assert list(found) == ['w', 'h', 'n', 'none']
    assert found['w'].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert torch.equal(found['h'], half)
    assert found['n'].item() == -5
    assert found['none'].shape == (0, 3)


@pytest.mark.parametrize(
    'data, message',
    [
        (b'', r'the length of the header needs 8 bytes'),
        (struct.pack('<Q', 1 << 60), 'a header of 1152921504606846976 bytes'),
        (safetensors(b'{"a": '), 'not JSON'),
        (safetensors(b'[' * 100_000), 'not JSON'),
        (safetensors([1]), 'not a JSON object'),
        (safetensors({}), 'no tensors'),
        (safetensors({'w': dict(ENTRY, dtype='F8')}, VALUES), "type 'F8'"),
        (safetensors({'w': dict(ENTRY, dtype=['F32'])}, VALUES), 'not read'),
        (safetensors({'w': dict(ENTRY, shape=[2, -3])}, VALUES), 'no shape'),
        (safetensors({'w': dict(ENTRY, shape=[2, 4])}, VALUES), 'takes 32 bytes'),
        (safetensors({'w': dict(ENTRY, data_offsets=[4, 28])}, VALUES), 'no place'),
        (safetensors({'w': 3}, VALUES), 'no place'),
        (safetensors({'w': ENTRY, 'v': ENTRY}, VALUES), 'lie upon each other'),
    ],
)
def test_bad_safetensors_are_refused(data, message):
    with pytest.raises(InputError, match=r'net\.safetensors: .*' + message):
        parse(data)


def test_damaged_safetensors_give_clean_errors(mutated):
    rng = random.Random(0)
    header = {'w': ENTRY, 'v': dict(ENTRY, data_offsets=[24, 48])}
    whole = safetensors(header, VALUES * 2)
    refused = 0
    for _ in range(COUNT):
        try:
            found = parse(mutated(whole, rng, forge))
        except InputError:
            refused += 1
        else:
            assert sum(tensor.nbytes for tensor in found.values()) <= len(whole)
    assert COUNT / 3 < refused < COUNT
