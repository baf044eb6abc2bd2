import pytest

from wsss_mm.utils.errors import InputError
from wsss_mm.workflow import config_files
from wsss_mm.workflow.config_files import (
    find_config,
    list_configs,
    shipped,
    tool_command,
)

SEAM = 'configs/seam/seam_r38_voc.py'


@pytest.mark.parametrize(
    'name',
    [
        SEAM,
        'seam/seam_r38_voc.py',
        'seam/seam_r38_voc',
        'seam_r38_voc',
        'seam_r38_voc.py',
    ],
)
def test_a_config_of_ours_is_found_from_any_folder(root, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == root / SEAM


def test_a_file_that_is_there_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / SEAM
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert str(find_config(SEAM)) == SEAM
    assert find_config(mine) == mine
    assert find_config('seam_r38_voc') != mine


def test_parts_go_by_their_path_alone(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part = 'configs/_base_/models/cam_r38.py'
    assert find_config(part) == root / part
    with pytest.raises(InputError, match='no such config file'):
        find_config('default_runtime')


@pytest.mark.parametrize(
    'name, message',
    [
        ('seam_r38_vox', 'nearest are seam_r38_voc'),
        ('mine/seam_r38_voc.py', r'no such config file; nearest are seam_r38_voc'),
        ('/nowhere/seam_r38_voc.py', r'no such config file'),
        ('../tools/train.py', 'no such config file'),
        ('configs/../setup.py', 'no such config file'),
        ('qqqqqqq', r'no such config file; those we ship are in .*configs'),
        ('', 'is a folder'),
        ('configs', 'no such config file'),
    ],
)
def test_what_is_not_a_config_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        find_config(name)


def test_a_bare_name_means_one_file():
    names = [path.stem for path in list_configs()]
    assert len(names) > 50
    assert len(set(names)) == len(names)
    assert all(find_config(path.stem) == path for path in list_configs())


def test_a_wheel_has_them_in_its_own_folder(tmp_path, monkeypatch):
    package = tmp_path / 'site-packages' / 'wsss_mm'
    config = package / '.mim' / SEAM
    config.parent.mkdir(parents=True)
    config.touch()
    monkeypatch.setattr(config_files, 'PACKAGE', package)
    assert shipped('configs') == package / '.mim' / 'configs'
    assert find_config('seam_r38_voc') == config
    tool = package / '.mim' / 'tools' / 'train.py'
    assert tool_command('train.py') == f'python {tool}'


def test_the_command_of_a_tool_works_where_we_are(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    assert tool_command('train.py') == 'python tools/train.py'
    monkeypatch.chdir(tmp_path)
    assert tool_command('train.py') == f'python {root}/tools/train.py'
