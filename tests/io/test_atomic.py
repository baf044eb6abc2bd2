import pytest

from wsss_mm.io.atomic import atomic_write


def test_the_file_appears_at_the_end_and_folders_are_made(tmp_path):
    path = tmp_path / 'a' / 'b' / 'mask.png'
    with atomic_write(path) as temporary:
        temporary.write_text('new')
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == '.png'
    assert path.read_text() == 'new'
    assert list(path.parent.iterdir()) == [path]


def test_an_error_keeps_the_old_file(tmp_path):
    path = tmp_path / 'file.txt'
    path.write_text('old')
    with pytest.raises(FileNotFoundError), atomic_write(path) as temporary:
        temporary.write_text((tmp_path / 'missing').read_text())
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / 'plain').write_text('')
    with atomic_write(tmp_path / 'file'):
        pass
    assert (tmp_path / 'file').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    match = r'cannot write .*file/mask\.png: .*choose a folder you may write to'
    with (
        pytest.raises(ValueError, match=match),
        atomic_write(tmp_path / 'file' / 'mask.png'),
    ):
        pass


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / 'taken').mkdir()
    with (
        pytest.raises(ValueError, match=r'cannot write .*taken'),
        atomic_write(tmp_path / 'taken'),
    ):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / 'taken']
