import argparse

import pytest

from wsss_mm.cli.command_line import OptionsAction, parse_options


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
