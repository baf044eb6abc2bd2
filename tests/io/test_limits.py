import pytest

from wsss_mm.io.limits import check_file, lines_of, read_text
from wsss_mm.io.wording import brief, first_line
from wsss_mm.utils.errors import InputError


def test_a_file_may_be_as_large_as_its_limit(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'12345')
    check_file(path, most=5, kind='a note')
    with pytest.raises(
        InputError, match='has 5 bytes, more than the 4 that a note may'
    ):
        check_file(path, most=4, kind='a note')


def test_text_is_utf_8(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes('\ufeffé\r\n'.encode())
    assert read_text(path, most=99, kind='a list') == 'é\r\n'
    path.write_bytes('é'.encode('utf-16'))
    with pytest.raises(InputError, match='a:1: not UTF-8'):
        read_text(path, most=99, kind='a list')


@pytest.mark.parametrize('text', ['', 'a', 'a\n', '\n\na', 'a\r\u2028b\x0c\n\x85'])
def test_lines_end_at_line_feeds_alone(text):
    lines = list(lines_of(text))
    assert ''.join(lines) == text
    assert [line.rstrip('\n') for line in lines] == text.removesuffix('\n').split('\n')[
        : len(lines)
    ]


def test_values_of_any_size_are_shown_in_a_line():
    assert brief('a\nb') == "'a\\nb'"
    for value in ('x' * 10**6, [[[[['x' * 999] * 9] * 9] * 9] * 9] * 9, 16**9999):
        assert len(brief(value)) < 2000
        assert '\n' not in brief(value)
    assert first_line(ValueError('a\nb')) == 'a'
    assert first_line(KeyError()) == 'KeyError'
