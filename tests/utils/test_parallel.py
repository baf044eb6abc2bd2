"""The pool: order, two kinds of error, killed workers, no fork, no orphans."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import Failure, attempt, map_named, map_ordered


@pytest.fixture(scope='module')
def functions():
    """Import what workers can import too: they get our sys.path."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import pool_functions

        yield pool_functions
    finally:
        sys.path.pop(0)


def named(numbers):
    return [(f'image{n}', n) for n in numbers]


@pytest.mark.parametrize('workers', [0, 2])
def test_failures_are_of_two_kinds_and_end_one_item(workers, functions):
    earlier = Failure('gone', 'earlier')
    jobs = [*named(range(7)), ('gone', earlier), *named([8])]
    found = dict(map_named(functions.work, jobs, workers=workers))
    assert list(found) == [name for name, _ in jobs]
    assert found['gone'] is earlier
    for n in (0, 1, 2, 4, 8):
        assert found[f'image{n}'] == n * n
    assert found['image3'] == Failure('image3', 'a damaged file')
    assert str(found['image3']) == 'a damaged file'
    fault = found['image5']
    assert '\n' not in fault.message
    assert fault.message.startswith('KeyError: ')
    assert fault.traceback.startswith('Traceback (most recent call last)')
    assert "raise KeyError('broken" in fault.traceback
    odd = found['image6']
    assert 'OddError: ab' in odd.message
    assert 'raise OddError' in odd.traceback


def test_what_cannot_travel_is_the_fault_of_one_item(functions):
    found = dict(map_named(functions.work, named([1, 7, 2]), workers=1))
    assert found['image1'] == 1
    assert found['image2'] == 4
    assert 'pickle' in found['image7'].traceback


@pytest.mark.parametrize('workers', [0, 1])
def test_a_missing_module_ends_all(workers, functions):
    with pytest.raises(ModuleNotFoundError, match='a_module_that_does_not_exist'):
        list(map_named(functions.lacking, named(range(3)), workers=workers))


def test_attempt_is_the_same_for_one_item(functions):
    assert attempt(functions.work, 'a', 2) == 4
    assert attempt(functions.work, 'a', 3) == Failure('a', 'a damaged file')
    assert 'raise KeyError' in attempt(functions.work, 'a', 5).traceback


@pytest.mark.parametrize('processes', [1, 2])
def test_map_ordered_keeps_order_and_raises_the_first_error(processes, functions):
    assert list(map_ordered(abs, range(-30, 0), processes)) == list(range(30, 0, -1))
    results = map_ordered(functions.damaged, list(range(9)), processes)
    assert [next(results) for _ in range(5)] == [0, -1, -2, -3, -4]
    with pytest.raises(InputError, match='5 is damaged') as caught:
        next(results)
    if processes > 1:
        assert 'in damaged' in str(caught.value.__cause__)


def test_workers_come_from_a_server_that_loaded_what_they_need(functions):
    import torch  # noqa: F401

    # The function's module is of this test, torch of the package it imports.
    found = list(map_ordered(functions.process_of, list(range(4)), 2))
    assert os.getpid() not in {pid for pid, *_ in found}
    assert os.getpid() not in {parent for _, parent, *_ in found}  # no fork of us


def test_a_killed_worker_is_named_within_seconds(functions):
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r'worker process died .*image2.* fewer'):
        list(map_named(functions.kill, named(range(9)), workers=2))
    with pytest.raises(RuntimeError, match=r'worker process died at .*: 2, 3, 4, 5\.'):
        list(map_ordered(functions.kill, list(range(2, 9)), 2))
    assert time.monotonic() - began < 30


SCRIPT = """
import time
from wsss_mm.utils.parallel import map_ordered

def sleep(number):
    print(__import__('os').getpid(), flush=True)
    time.sleep(60)

{guard}list(map_ordered(sleep, [1, 2], 2))
"""


def script(tmp_path, guard):
    path = tmp_path / 'script.py'
    path.write_text(SCRIPT.format(guard=guard))
    return [sys.executable, str(path)]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has reaped has ended.
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rpartition(')')[2].split()[0] != 'Z'


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_workers_end_with_a_killed_parent(tmp_path):
    command = script(tmp_path, "if __name__ == '__main__': ")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def test_a_script_without_a_guard_is_pointed_out(tmp_path):
    done = subprocess.run(
        script(tmp_path, ''), capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert 'under `if __name__ == "__main__":`' in done.stderr


def test_partial_functions_and_bad_numbers():
    assert list(map_ordered(partial(pow, 2), [1, 2, 3], 2)) == [2, 4, 8]
    with pytest.raises(InputError, match='workers must not be negative, got -1'):
        list(map_named(abs, [], workers=-1))
    assert list(map_ordered(abs, [], 2)) == []
