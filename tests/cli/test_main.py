"""The command wsss finds sub-commands and imports only the one that was asked for."""

import importlib
import subprocess
import sys

import pytest

from wsss_mm import __version__
from wsss_mm.cli import main as cli
from wsss_mm.utils.errors import InputError

HEAVY = ('torch', 'numpy', 'mmengine', 'mmseg')


@pytest.fixture
def command(monkeypatch):
    """A sub-command `data`, which records what it is given."""
    given = []

    def add_arguments(parser):
        parser.add_argument('number', type=int)

    def run(args):
        given.append(args)
        if args.number < 0:
            raise InputError(f'{args.number}: give a positive number')
        return args.number

    functions = dict(add_arguments=add_arguments, run=run, __doc__='It counts.')
    module = type('Module', (), functions)
    monkeypatch.setattr(cli, 'available', lambda: {'data': 'count'})
    monkeypatch.setattr(cli.importlib, 'import_module', lambda name: module)
    # What --debug sets is taken back.
    monkeypatch.setenv('WSSS_DEBUG', '')
    return given


def test_it_runs_a_sub_command_and_returns_its_status(command):
    assert cli.main(['data', '3']) == 3
    assert cli.main(['data', '0']) == 0
    assert [args.number for args in command] == [3, 0]


def test_a_users_error_is_one_line_unless_debugging(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['data', '-1'])
    assert stop.value.code == 2
    assert capsys.readouterr().err == 'error: -1: give a positive number\n'
    with pytest.raises(InputError):
        cli.main(['data', '-1', '--debug'])


def test_a_wrong_argument_names_the_command(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['data', 'x'])
    assert stop.value.code == 2
    assert 'wsss data: error:' in capsys.readouterr().err


def test_help_of_a_sub_command_is_its_docstring(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['data', '--help'])
    assert stop.value.code == 0
    assert 'It counts.' in capsys.readouterr().out


@pytest.mark.parametrize(
    'argv, message',
    [
        (['docter'], "no command 'docter'; did you mean doctor?"),
        (['qqqqqq', '--debug'], "no command 'qqqqqq'; wsss --help lists them"),
        ([], 'name a command'),
    ],
)
def test_what_is_not_a_command_is_refused(capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_the_commands_are_those_that_are_there(root):
    files = {path.stem for path in (root / 'wsss_mm' / 'cli').glob('*.py')}
    shared = {'__init__', 'main', 'messages', 'command_line'}
    assert set(cli.available()) == files & set(cli.DESCRIPTIONS)
    assert {'doctor', 'demo', 'convert', 'verify'} <= set(cli.available())
    unlisted = files - set(cli.DESCRIPTIONS) - shared
    commands = [
        name
        for name in unlisted
        if hasattr(importlib.import_module(f'wsss_mm.cli.{name}'), 'DESCRIPTION')
    ]
    assert not commands, 'a sub-command that wsss --help does not list'


@pytest.mark.parametrize('name', cli.available())
def test_every_command_calls_itself_what_help_says(name):
    module = importlib.import_module(f'wsss_mm.cli.{name}')
    assert cli.DESCRIPTIONS[name] == module.DESCRIPTION
    assert module.__doc__
    parser = cli.argparse.ArgumentParser()
    module.add_arguments(parser)
    assert callable(module.run)
    assert parser.format_help()  # a lone % in a help text fails


@pytest.mark.parametrize('option, text', [('--help', 'doctor'), ('--version', None)])
def test_help_is_quick_because_it_imports_nothing_large(option, text):
    code = (
        'import sys\nfrom wsss_mm.cli.main import main\n'
        f'try:\n    main([{option!r}])\nfinally:\n'
        f'    print([name for name in {HEAVY!r} if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (text or __version__) in done.stdout
    assert done.stdout.splitlines()[-1] == '[]'


def test_it_runs_as_a_module(tmp_path):
    command = [sys.executable, '-m', 'wsss_mm']
    done = subprocess.run([*command, '--version'], capture_output=True, text=True)
    assert done.stdout == f'wsss_mm {__version__}\n'
