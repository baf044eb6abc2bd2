import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.child import PARENT
from wsss_mm.workflow.lock import LOCK, describe, is_dying, locked

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


FORKING = """
import multiprocessing, sys, time
from wsss_mm.workflow.lock import locked
with locked(sys.argv[1]):
    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
    child.start()
    print('mine', child.pid, flush=True)
    time.sleep(60)
"""


def test_a_fork_that_outlives_its_owner_does_not_keep_the_lock(root, tmp_path):
    """As the workers of a killed training do, for some seconds."""
    command = [sys.executable, '-c', FORKING, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        worker = int(process.stdout.readline().split()[1])
        process.kill()
        process.wait()
    try:
        os.kill(worker, 0)
        with locked(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_fork_does_not_give_the_lock_of_its_parent_back(root, tmp_path):
    with locked(tmp_path):
        child = multiprocessing.get_context('fork').Process(target=int)
        child.start()
        child.join()
        with pytest.raises(InputError, match='another command'), locked(tmp_path):
            pass


def test_the_stage_of_a_killed_pipeline_is_waited_for(root, tmp_path, monkeypatch):
    pipeline = subprocess.Popen(['sleep', '60'])
    monkeypatch.setenv(PARENT, str(pipeline.pid))
    code = HOLDER.replace('sleep(60)', 'sleep(2)')
    command = [sys.executable, '-c', code, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root
    ) as stage:
        stage.stdout.readline()
        with pytest.raises(InputError, match='another command'), locked(tmp_path):
            pass
        pipeline.kill()  # and nobody waits for it, so that it stays a zombie
        time.sleep(0.1)
        with locked(tmp_path):
            assert stage.poll() is not None or stage.wait(5) == 0
    pipeline.wait()


@pytest.mark.parametrize(
    'told', [{}, dict(pipeline=None), dict(pipeline=os.getpid()), dict(pipeline='1')]
)
def test_any_other_owner_is_not_waited_for(told):
    assert not is_dying(json.dumps(dict(host=socket.gethostname(), **told)))
    assert not is_dying('')


def test_unfinished_files_of_killed_commands_are_removed(tmp_path):
    (tmp_path / '.results.0123456789ab.json').write_text('{')
    (tmp_path / '.results.json').write_text('mine')
    with locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ['.results.json']
