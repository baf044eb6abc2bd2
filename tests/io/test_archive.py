import hashlib
import io
import random
import re
import tarfile

import pytest

from wsss_mm.io.archive import LARGEST_FILE, check_md5, find_files

CONTENT = {
    'top/b/2.txt': b'two',
    'top/b/1.txt': b'one',
    'top/a/3.txt': b'',
    'top/a/3.text': b'no',
    'top/a/xb/4.txt': b'four',
}


@pytest.fixture(params=['folder', 'tar', 'tgz'])
def source(request, tmp_path):
    if request.param == 'folder':
        for name, content in CONTENT.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path
    members = {'top/b': None, **CONTENT}
    mode = 'w:gz' if request.param == 'tgz' else 'w'
    return pack(tmp_path / f'a.{request.param}', members, mode)


def pack(path, members, mode='w', **attributes):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content or b'')
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content or b''))
    return path


def test_archive_and_folder_give_the_same_files(source):
    found = {
        (file.match['folder'], file.match['id']): (file.read(), file.size)
        for file in find_files(source, r'(?P<folder>[ab])/(?P<id>\d)\.txt')
    }
    assert found == {
        ('b', '1'): (b'one', 3),
        ('b', '2'): (b'two', 3),
        ('a', '3'): (b'', 0),
    }


def test_nothing_is_written(source, tmp_path):
    before = sorted(tmp_path.rglob('*'))
    assert [file.read() for file in find_files(source, r'1\.txt')] == [b'one']
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('name', ['../top/b/1.txt', '/top/b/1.txt', 'x/../b/1.txt'])
def test_paths_out_of_the_archive_are_refused(tmp_path, name):
    path = pack(tmp_path / 'a.tar', {name: b'one'})
    with pytest.raises(ValueError, match=r'a\.tar: .*1\.txt leads out'):
        list(find_files(path, r'1\.txt'))
    # What nobody asks for does no harm.
    assert list(find_files(path, r'2\.txt')) == []


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    path = pack(tmp_path / 'a.tar', {'b/1.txt': b''}, type=kind, linkname='/etc/hosts')
    with pytest.raises(ValueError, match=r'b/1\.txt is a link or a device'):
        list(find_files(path, r'1\.txt'))


def test_a_forged_size_is_not_read(tmp_path):
    path = tmp_path / 'a.tar'
    member = tarfile.TarInfo('1.txt')
    member.size = LARGEST_FILE + 1
    path.write_bytes(member.tobuf() + bytes(1024))
    file = next(find_files(path, r'1\.txt'))
    with pytest.raises(ValueError, match=f'claims to have {LARGEST_FILE + 1} bytes'):
        file.read()


def read_all(source, pattern):
    return [file.read() for file in find_files(source, pattern)]


@pytest.mark.parametrize('mode', ['w', 'w:gz'])
def test_a_download_that_was_cut_off(tmp_path, mode):
    members = {f'{i}.txt': bytes(range(256)) * 40 for i in range(9)}
    path = pack(tmp_path / 'a.tar', members, mode)
    whole = path.read_bytes()
    for length in (len(whole) // 2, 9000 if mode == 'w' else 40, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r'a\.tar.*cut off or damaged'):
            read_all(path, r'\d\.txt')


def forge(data, at, rng):
    """Overwrite a field of a header with one character."""
    field = at // 512 * 512 + rng.choice((100, 124, 148, 156, 257, 345))
    data[field : field + 8] = bytes([rng.choice((0, 48, 55, 128, 255))] * 8)


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz'])
def test_damaged_archives_give_clean_errors(tmp_path, mode, mutated):
    # 10,000 were tried once.
    long = 'ü' * 120
    members = {f'{long}/{i}.txt': bytes(range(256)) * 3 for i in range(4)}
    path = pack(tmp_path / 'a.tar', members, mode)
    whole, rng, refused = path.read_bytes(), random.Random(0), []
    for _ in range(300):
        path.write_bytes(mutated(whole, rng, forge))
        try:
            read_all(path, r'\d\.txt')
        except ValueError as error:
            refused.append(str(error))
    assert 80 < len(refused) < 300
    assert all(str(path) in message for message in refused)


def test_no_source(tmp_path):
    with pytest.raises(ValueError, match='no archive or folder'):
        list(find_files(tmp_path / 'none', 'a'))


def test_md5(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'abc')
    check_md5(path, hashlib.md5(b'abc').hexdigest())
    path.write_bytes(b'ab')
    with pytest.raises(ValueError, match=re.escape(str(path)) + '.*not complete'):
        check_md5(path, hashlib.md5(b'abc').hexdigest())
    with pytest.raises(ValueError, match='cannot read'):
        check_md5(tmp_path, '')
