import errno
import multiprocessing
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from wsss_mm.datasets.tags import write_tag_file
from wsss_mm.io.atomic import atomic_write, remove_unfinished
from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.image_file import save_picture
from wsss_mm.io.score_file import save_scores
from wsss_mm.utils.errors import InputError


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


def fill_the_disk(path):
    """Write with a limit of the file size in place of a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    maps = np.random.default_rng(0).random((3, 99, 99))
    picture = np.uint8(maps.transpose(1, 2, 0) * 255)
    writers = dict(
        cam=lambda: save_cam(path / 'a.npz', [0, 1, 2], maps),
        scores=lambda: save_scores(path / 's.npz', [0, 1], maps, maps),
        mask=lambda: save_picture(path / 'm.png', picture),
        text=lambda: write_tag_file(path / 't.csv', {'a': ['x' * 9999]}),
    )
    for name, write in writers.items():
        try:
            write()
        except InputError as error:
            yield name, str(error)


def test_a_full_disk_names_the_file(tmp_path):
    receive, send = multiprocessing.Pipe()
    child = multiprocessing.get_context('fork').Process(
        target=lambda: send.send(list(fill_the_disk(tmp_path)))
    )
    child.start()
    assert receive.poll(60)
    found = dict(receive.recv())
    child.join()
    assert set(found) == {'cam', 'scores', 'mask', 'text'}
    for text in found.values():
        assert re.match(rf'cannot write {tmp_path}/\w\.\w+: File too large', text)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_is_not_one_of_writing(tmp_path):
    error = OSError(errno.ENOSPC, 'no space', str(tmp_path / 'other'))
    with pytest.raises(OSError, match='no space'), atomic_write(tmp_path / 'a'):
        raise error
    with (
        pytest.raises(InputError, match=r'cannot write .*/a: no space'),
        atomic_write(tmp_path / 'a'),
    ):
        raise OSError(errno.ENOSPC, 'no space')


WRITER = """
import sys, time
from wsss_mm.io.atomic import atomic_write
with atomic_write(sys.argv[1]) as part:
    part.write_text('half')
    print('writing', flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_removed_and_not_what_one_is_writing(
    root, tmp_path
):
    path = tmp_path / 'cams' / 'x' / 'a.npz'
    command = [sys.executable, '-c', WRITER, str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root
    ) as writer:
        writer.stdout.readline()
        remove_unfinished(tmp_path, below=True)
        assert len(list(path.parent.iterdir())) == 1
        writer.kill()
    remove_unfinished(tmp_path)
    assert len(list(path.parent.iterdir())) == 1
    remove_unfinished(tmp_path, below=True)
    assert list(path.parent.iterdir()) == []
    remove_unfinished(tmp_path / 'missing')


@pytest.mark.parametrize(
    'name', ['.a.npz', '.a.0123.npz', 'a.0123456789ab.npz', '.git']
)
def test_other_files_stay(tmp_path, name):
    (tmp_path / name).write_text('')
    (tmp_path / '.link.0123456789ab.npz').symlink_to(tmp_path / name)
    remove_unfinished(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
