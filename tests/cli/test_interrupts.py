"""Ctrl-C and TERM end a command with how to go on, not with a traceback."""

import signal

import pytest

from wsss_mm.cli.messages import saying_how_to_go_on


@pytest.mark.parametrize(
    'command, error, said, code',
    [
        ('run', KeyboardInterrupt(), 'the same command goes on from here', 130),
        ('train', KeyboardInterrupt(), 'with --resume goes on', 130),
        ('cams', SystemExit(128 + signal.SIGTERM), 'the same command makes', 143),
        ('doctor', KeyboardInterrupt(), 'start it again', 130),
        ('run', SystemExit(2), '', 2),
    ],
)
def test_what_is_said(capsys, command, error, said, code):
    with pytest.raises(SystemExit) as stop, saying_how_to_go_on(command):
        raise error
    assert stop.value.code == code
    output = capsys.readouterr().out
    assert said in output
    assert bool(output) == bool(said)
