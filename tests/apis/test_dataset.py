"""The images that a verb goes through."""

from wsss_mm.apis.dataset import list_file


def test_a_list_is_found_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.txt').write_text('a\n')
    assert list_file('mine.txt') == str((tmp_path / 'mine.txt').resolve())


def test_a_list_that_is_not_there_is_left_to_the_data_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'ImageSets').mkdir()
    assert list_file('ImageSets/train.txt') == 'ImageSets/train.txt'
    assert list_file('ImageSets') == 'ImageSets'
