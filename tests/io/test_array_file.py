import io
import zipfile

import numpy as np
import pytest

from wsss_mm.io.array_file import list_members, load_arrays
from wsss_mm.utils.errors import InputError


def load(path, *names):
    return load_arrays(path, names, kind='CAM file', remedy='make it again')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_reads(tmp_path, save):
    content = dict(
        a=np.arange(6.0, dtype='<f2').reshape(2, 3),
        b=np.asfortranarray(np.arange(6).reshape(2, 3)),
        c=np.zeros((0, 4)),
        d=np.array(3, '>i4'),
    )
    save(tmp_path / 'a.npz', **content)
    assert list_members(tmp_path / 'a.npz') == {f'{name}.npy' for name in content}
    for name, found in zip('dcba', load(tmp_path / 'a.npz', *'dcba')):
        np.testing.assert_array_equal(found, content[name])
        assert found.dtype == content[name].dtype


def archive(path, member, **options):
    with zipfile.ZipFile(path, 'w', **options) as file:
        file.writestr('a.npy', member)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    'member, options, match',
    [
        (npy(np.zeros(3)) + b'x', {}, 'which are not float64'),
        (npy(np.zeros(3))[:-1], {}, 'which are not float64'),
        (npy(np.array([{}], object), allow_pickle=True), {}, 'CAM file'),
        (npy(np.zeros(3)), dict(compression=zipfile.ZIP_LZMA), 'another way'),
        (npy(np.zeros(3)), dict(compression=zipfile.ZIP_BZIP2), 'another way'),
        (npy(np.zeros(3)).replace(b'(3,)', b'(-3,'), {}, 'truncated or no CAM file'),
        (b'\x93NUMPY\x03\x00' + npy(np.zeros(3))[8:], {}, 'version'),
        (b'', {}, 'truncated or no CAM file'),
    ],
)
def test_other_members_are_refused(tmp_path, member, options, match):
    archive(tmp_path / 'a.npz', member, **options)
    with pytest.raises(InputError, match=match) as error:
        load(tmp_path / 'a.npz', 'a')
    assert str(tmp_path / 'a.npz') in str(error.value)


def test_an_array_that_is_not_there(tmp_path):
    np.savez(tmp_path / 'a.npz', a=1)
    with pytest.raises(InputError, match=r'arrays a and b\): .*b\.npy.*make it again'):
        load(tmp_path / 'a.npz', 'a', 'b')
    with pytest.raises(FileNotFoundError):
        load(tmp_path / 'b.npz', 'a')
