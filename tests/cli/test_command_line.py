import argparse

import pytest

from wsss_mm.cli.command_line import OptionsAction, parse_options, readable_errors
from wsss_mm.utils.errors import InputError


class TestErrors:
    @pytest.mark.parametrize('kind', [InputError, FileNotFoundError])
    def test_bad_input_ends_with_a_line_and_status_2(self, capsys, kind):
        with pytest.raises(SystemExit) as exit_info, readable_errors():
            raise kind('a.csv: no such class')
        assert exit_info.value.code == 2
        captured = capsys.readouterr()
        assert captured.err == 'error: a.csv: no such class\n'
        assert captured.out == ''

    def test_the_traceback_of_a_worker_is_cut(self, capsys):
        text = (
            'Caught InputError in DataLoader worker process 0.\n'
            'Original Traceback (most recent call last):\n  File "x.py", line 1\n'
            'wsss_mm.utils.errors.InputError: a.jpg: truncated\n'
        )
        with pytest.raises(SystemExit), readable_errors():
            raise InputError(text)
        assert capsys.readouterr().err == 'error: a.jpg: truncated\n'

    def test_our_own_mistakes_stay_visible(self):
        with pytest.raises(TypeError), readable_errors():
            raise TypeError('a bug')
        with pytest.raises(ValueError, match='a bug'), readable_errors():
            raise ValueError('a bug')

    def test_the_debug_switch_shows_everything(self, monkeypatch):
        monkeypatch.setenv('WSSS_DEBUG', '1')
        with pytest.raises(InputError, match='no such class'), readable_errors():
            raise InputError('no such class')


class TestOptions:
    def test_options_are_read_as_the_tools_read_them(self):
        pairs = ['a.b=1', 'c=None', 'd=text', 'e=[1,2]', 'f=True', 'g=x=y']
        expected = {'a.b': 1, 'c': None, 'd': 'text', 'e': [1, 2], 'f': True}
        assert parse_options(pairs) == {**expected, 'g': 'x=y'}
        assert parse_options([]) == {}
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
        found = parser.parse_args(['--cfg-options', *pairs]).cfg_options
        assert found == {**expected, 'g': 'x=y'}

    def test_other_arguments_are_refused(self, capsys):
        with pytest.raises(ValueError, match="'depth:2': expected key=value"):
            parse_options(['a=1', 'depth:2'])
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
        with pytest.raises(SystemExit) as exit_info:
            parser.parse_args(['--cfg-options', 'depth:2'])
        assert exit_info.value.code == 2
        assert "'depth:2': expected key=value" in capsys.readouterr().err
