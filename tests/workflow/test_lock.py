import signal
import subprocess
import sys

import pytest

from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.lock import LOCK, describe, locked

HOLDER = """
import sys, time
from wsss_mm.workflow.lock import locked
with locked(sys.argv[1]):
    print('mine', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(root, tmp_path):
    """A process that has the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    while 'mine' not in (process.stdout.readline() or 'mine'):
        pass
    yield process
    process.kill()
    process.wait()


def test_a_second_command_is_refused_and_told_by_whom(holder, tmp_path):
    message = rf'process {holder.pid} on .* since .*: -c'
    with pytest.raises(InputError, match=message), locked(tmp_path):
        pass


def test_the_lock_of_a_killed_owner_is_taken_over(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(tmp_path):
        assert (tmp_path / LOCK).is_file()


def test_it_is_given_back_and_leaves_nothing(tmp_path):
    for _ in range(2):
        with locked(tmp_path / 'new'):
            pass
    assert list((tmp_path / 'new').iterdir()) == []


def test_an_error_gives_it_back_too(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


@pytest.mark.parametrize('text', ['', '{', '[]', '{"process": 1}'])
def test_what_a_lock_says_may_be_anything(text):
    assert describe(text) == 'its lock does not say which'
