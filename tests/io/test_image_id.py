import unicodedata

import pytest

from wsss_mm.io.image_id import normalise_id

COMPOSED = 'caf\u00e9'


@pytest.mark.parametrize(
    'text, expected',
    [
        ('a', 'a'),
        ('sub/a.b c.JPG', 'sub/a.b c.JPG'),
        ('./a', 'a'),
        ('sub/./a', 'sub/a'),
        ('sub//a', 'sub/a'),
        ('..a', '..a'),
        ('...', '...'),
        ('a..b/c..', 'a..b/c..'),
        ('.hidden', '.hidden'),
        ('12:30', '12:30'),
        ('line\u2028separator', 'line\u2028separator'),
        ('"quoted"', '"quoted"'),
        (COMPOSED, COMPOSED),
        (unicodedata.normalize('NFD', COMPOSED), COMPOSED),
        ('x' * 251, 'x' * 251),
        ('x' * 250 + '.jpeg', 'x' * 250 + '.jpeg'),
    ],
)
def test_an_id_has_one_form(text, expected):
    assert normalise_id(text, where='list.txt:3') == expected
    assert normalise_id(expected, where='') == expected


@pytest.mark.parametrize(
    'text, problem',
    [
        ('', 'names no file'),
        ('.', 'names no file'),
        ('./', 'names no file'),
        ('..', 'leads out of a folder'),
        ('../a', 'leads out of a folder'),
        ('x/../a', 'leads out of a folder'),
        ('x/..', 'leads out of a folder'),
        ('/a', 'is an absolute path'),
        ('//server/a', 'is an absolute path'),
        ('C:/a', 'is an absolute path'),
        ('c:a', 'is an absolute path'),
        ('sub\\a', 'holds a backslash'),
        ('..\\a', 'holds a backslash'),
        ('C:\\a', 'holds a backslash'),
        ('a\0', 'holds a control character'),
        ('a\nb', 'holds a control character'),
        ('a\rb', 'holds a control character'),
        ('a\x0cb', 'holds a control character'),
        ('a\x85b', 'holds a control character'),
        ('\ufeffa', 'holds a control character'),
        ('\udcff', 'holds a control character'),
        (' a', 'begins or ends with a space'),
        ('a\u2028', 'begins or ends with a space'),
        ('x' * 252, 'more than 251 bytes'),
        ('\u00e9' * 126, 'more than 251 bytes'),
        ('x' * 251 + '.jpeg', 'more than 255 bytes'),
        ('x' * 256 + '/a', 'more than 251 bytes'),
        ('x' * 2000, 'has 2000 characters, more than 1024'),
    ],
)
def test_what_is_no_id_is_refused_and_named(text, problem):
    with pytest.raises(ValueError, match=rf'^list\.txt:3: the image id .*{problem}'):
        normalise_id(text, where='list.txt:3')
