import logging
import re
from concurrent.futures.process import BrokenProcessPool

import pytest
from torch.utils.data import DataLoader, Dataset

from wsss_mm.cli.messages import readable_errors
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER


@pytest.fixture(autouse=True)
def no_debugging(monkeypatch):
    monkeypatch.delenv('WSSS_DEBUG', raising=False)


@pytest.mark.parametrize('kind', [InputError, FileNotFoundError, PermissionError])
def test_bad_input_ends_with_a_line_and_status_2(capsys, kind):
    with pytest.raises(SystemExit) as exit_info, readable_errors():
        raise kind('a.csv: no such class')
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert captured.err == 'error: a.csv: no such class\n'
    assert captured.out == ''


@pytest.mark.parametrize('kind', [TypeError, ValueError, KeyError, RuntimeError])
def test_our_own_mistakes_stay_visible(kind):
    with pytest.raises(kind), readable_errors():
        raise kind('a bug')


def test_an_optional_package_that_is_missing_is_the_users(capsys):
    with pytest.raises(SystemExit), readable_errors():
        raise ImportError('dense CRF needs pydensecrf: pip install ...')
    assert capsys.readouterr().err.startswith('error: dense CRF needs')


@pytest.mark.parametrize(
    'line', ['import wsss_mm.nothing', 'from wsss_mm.io import nothing']
)
def test_a_module_that_we_lack_is_our_mistake(line):
    with pytest.raises(ImportError), readable_errors():
        exec(line)


@pytest.mark.parametrize('value, shown', [('1', True), ('0', False), ('', False)])
def test_the_debug_switch_shows_tracebacks_and_messages(monkeypatch, value, shown):
    monkeypatch.setenv('WSSS_DEBUG', value)
    with pytest.raises(InputError if shown else SystemExit), readable_errors():
        raise InputError('a.csv: no such class')
    assert LOGGER.isEnabledFor(logging.DEBUG) == shown


class Damaged(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


@pytest.mark.parametrize('kind', [InputError, OSError])
def test_the_traceback_of_a_worker_is_cut(capsys, kind):
    loader = DataLoader(
        Damaged(kind('a.jpg: truncated\n  get it again')), num_workers=1
    )
    with pytest.raises(SystemExit), readable_errors():
        list(loader)
    assert capsys.readouterr().err == 'error: a.jpg: truncated\n  get it again\n'


def test_a_mistake_of_a_worker_keeps_it():
    with pytest.raises(ValueError, match='Traceback'), readable_errors():
        list(DataLoader(Damaged(ValueError('a bug')), num_workers=1))


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (
            'DataLoader worker (pid 12) is killed by signal: Killed. ',
            r'loads images \(12\) has ended: Killed\.',
        ),
        (
            'DataLoader worker (pid(s) 12, 13) exited unexpectedly',
            r'loads images \(12, 13\) has ended: exited\.',
        ),
        (
            '[../gloo/transport/tcp/pair.cc:553] Connection closed by peer [::1]:3',
            'another process of this command has ended',
        ),
    ],
)
def test_a_killed_process_of_the_command_is_a_line(capsys, text, said):
    with pytest.raises(SystemExit) as end, readable_errors():
        raise RuntimeError('in the loader') from RuntimeError(text)
    assert end.value.code == 1
    assert re.fullmatch(rf'error: .*{said}.*\n', capsys.readouterr().err)


def test_a_broken_pool_is_a_line(capsys):
    with pytest.raises(SystemExit), readable_errors():
        raise RuntimeError('a process died at: a, b') from BrokenProcessPool()
    assert 'error: a process died at: a, b. What was' in capsys.readouterr().err


def test_control_c_is_a_line(capsys):
    with pytest.raises(SystemExit) as end, readable_errors():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


def test_debug_messages_without_a_logger_are_not_printed(capsys, monkeypatch):
    import mmengine.logging

    from wsss_mm.cli.messages import hide_debug_prints

    monkeypatch.setattr(mmengine.logging, 'print_log', mmengine.logging.print_log)
    monkeypatch.delenv('WSSS_DEBUG', raising=False)
    hide_debug_prints()
    once = mmengine.logging.print_log
    hide_debug_prints()
    assert mmengine.logging.print_log is once
    once('Could not import OneDL', level=logging.DEBUG)
    once('something')
    assert capsys.readouterr().out == 'something\n'
    monkeypatch.setenv('WSSS_DEBUG', '1')
    once('Could not import OneDL', level=logging.DEBUG)
    assert 'OneDL' in capsys.readouterr().out
