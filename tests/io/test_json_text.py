import json

import pytest

from wsss_mm.io.json_text import DEEPEST, parse_json, read_object
from wsss_mm.io.limits import MOST_NOTE_BYTES
from wsss_mm.utils.errors import InputError


def nested(depth):
    return '\n' * 2 + '[' * depth + ']' * depth


def test_values_are_those_of_json():
    for value in (
        {'a': [1, None, True, 'é\u2028[[']},
        [],
        'x',
        0.5,
        json.loads(nested(9)),
    ):
        assert parse_json(json.dumps(value), where='f') == value


@pytest.mark.parametrize(
    'text, match',
    [
        ('{\n"a" 1}', 'f:2: no valid JSON .*; correct this line'),
        (f'[\n\n{"9" * 5000}]', 'f:3: Exceeds the limit'),
        (nested(DEEPEST + 1), 'f:3: lists in too many lists'),
        (nested(100_000), 'f:3: lists in too many lists'),
        ('', 'f:1: no valid JSON'),
    ],
)
def test_other_text_is_refused_with_its_line(text, match):
    with pytest.raises(InputError, match=match):
        parse_json(text, where='f')
    with pytest.raises(InputError, match=r'f:7: '):
        parse_json(text, where='f:7', numbered=False)


def test_brackets_in_strings_do_not_count():
    text = json.dumps(['[' * 1000, '"[\\' * 1000])
    assert parse_json(text, where='f') == json.loads(text)
    assert parse_json(nested(DEEPEST), where='f') == json.loads(nested(DEEPEST))


def test_an_object_is_wanted(tmp_path):
    path = tmp_path / 'a.json'
    for content, match in (
        (b'[1]', 'a note is a JSON object'),
        (b'{"a": 1\n\xff}', r'a\.json:2: not UTF-8'),
        (b' ' * (MOST_NOTE_BYTES + 1), 'more than the 4,194,304 that a note may have'),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=match):
            read_object(path, kind='a note')
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(path, kind='a note') == {'a': 1}
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / 'b.json', kind='a note')
