import os
import signal
import subprocess
import sys
import time

import pytest

from wsss_mm.workflow.child import follow, is_alive, signals_as_exit, started_by

# A pipeline, whose stage has a process of its own, as a training has workers.
PIPELINE = """
import sys
from pathlib import Path
from wsss_mm.workflow.child import follow
follow([sys.executable, '-c', sys.argv[2]], Path(sys.argv[1]), prefix=None)
"""
STAGE = """
import os, subprocess, sys, time
from wsss_mm.workflow.child import end_with_parent
end_with_parent()
worker = subprocess.Popen([sys.executable, '-c', '''
from wsss_mm.workflow.child import end_with_parent
end_with_parent()
import time
time.sleep(60)
'''])
print('pids', os.getpid(), worker.pid, flush=True)
time.sleep(60)
"""


def wait_for(condition, seconds=20):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def take_sigint():
    """Undo what a shell does to a command in the background, such as these tests."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_running(process):
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        with open(f'/proc/{process}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_stage_outlives_its_pipeline(root, tmp_path, number):
    log = tmp_path / 'stage.log'
    environment = {**os.environ, 'PYTHONPATH': str(root)}
    pipeline = subprocess.Popen(
        [sys.executable, '-c', PIPELINE, str(log), STAGE],
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=take_sigint,
    )
    assert wait_for(lambda: log.is_file() and 'pids' in log.read_text())
    children = [int(word) for word in log.read_text().split()[1:3]]
    assert all(map(is_running, children))
    pipeline.send_signal(number)
    assert pipeline.wait(20) != 0
    assert wait_for(lambda: not any(map(is_running, children)), seconds=10)


def test_output_and_status(tmp_path):
    code = 'import sys; print("said"); print("loud", file=sys.stderr); sys.exit(3)'
    log = tmp_path / 'log'
    log.write_text('before\n')
    assert follow([sys.executable, '-c', code], log, prefix=None) == 3
    assert set(log.read_text().split()) == {'before', 'said', 'loud'}


def test_signals_have_their_old_handlers_afterwards(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    follow([sys.executable, '-c', ''], tmp_path / 'log', prefix=None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_that_is_gone_is_not_alive():
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())


def test_a_zombie_is_not_alive():
    with subprocess.Popen(['sleep', '60']) as process:
        assert is_alive(process.pid)
        process.kill()
        assert wait_for(lambda: not is_alive(process.pid))
        assert process.returncode is None


STUCK = """
import time
from wsss_mm.workflow.child import signals_as_exit
with signals_as_exit(within=0.5):
    while True:
        try:
            print('ready', flush=True)
            time.sleep(60)
        except BaseException:
            pass
"""


@pytest.mark.parametrize(
    ('number', 'status'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_process_that_does_not_unwind_ends_too(root, number, status):
    with subprocess.Popen(
        [sys.executable, '-c', STUCK],
        stdout=subprocess.PIPE,
        cwd=root,
        preexec_fn=take_sigint,
    ) as process:
        process.stdout.readline()
        process.send_signal(number)
        try:
            assert process.wait(20) == status
        finally:
            process.kill()


@pytest.mark.parametrize('number', [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_ignored_signals_stay_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with signals_as_exit(within=1):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_sigterm_unwinds():
    with pytest.raises(SystemExit) as end, signals_as_exit():
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 143


def test_ranks_end_with_their_launcher(monkeypatch):
    monkeypatch.delenv('WSSS_PARENT_PROCESS', raising=False)
    assert started_by() is None
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    assert started_by() == os.getppid()
    monkeypatch.setenv('WSSS_PARENT_PROCESS', '1')
    assert started_by() == 1
