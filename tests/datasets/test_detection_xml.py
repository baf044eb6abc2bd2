import pytest

from wsss_mm.datasets.detection_xml import read_object_names
from wsss_mm.utils.errors import InputError

XML = (
    '<annotation><object><name> cat </name><part><name>head</name></part></object>\n'
    '<name>no object</name><object><pose/><name>d<!-- -->og</name><name>x</name>'
    '</object></annotation>'
)


def read(tmp_path, content, encoding='utf-8'):
    path = tmp_path / 'a.xml'
    path.write_bytes(content.encode(encoding))
    return read_object_names(path)


def test_names_of_objects_alone(tmp_path):
    """The first name below each object, as `findtext` gives it, but for comments."""
    assert read(tmp_path, XML) == ['cat', 'dog']
    assert read(tmp_path, '<annotation/>') == []


@pytest.mark.parametrize('encoding', ['utf-16', 'latin-1', 'utf-8-sig'])
def test_encodings_that_are_known(tmp_path, encoding):
    declared = {'latin-1': 'iso-8859-1'}.get(encoding, encoding.removesuffix('-sig'))
    text = f'<?xml version="1.0" encoding="{declared}"?>\n' + XML.replace('cat', 'é')
    assert read(tmp_path, text, encoding) == ['é', 'dog']


@pytest.mark.parametrize(
    'text, match',
    [
        ('<annotation>\n<object>', r':2: no valid XML'),
        ('', r':1: no valid XML'),
        ('<?xml version="1.0" encoding="utf-0"?><annotation/>', 'no valid XML'),
        ('<?xml version="1.0" encoding="shift_jis"?><annotation/>', 'no valid XML'),
        ('<html/>', r"the outermost element is 'html', .*'annotation'; convert"),
        ('<annotations><image/></annotations>', "outermost element is 'annotations'"),
        ('<annotation>\n<object/></annotation>', r':2: an object without a name'),
        ('<annotation><object><name> </name></object></annotation>', 'without a name'),
        ('<annotation>' + '<a>' * 60, 'elements in too many elements'),
        ('<!DOCTYPE a [<!ENTITY b "x">]><annotation>&b;</annotation>', 'document type'),
    ],
)
def test_other_text_is_refused_with_its_line(tmp_path, text, match):
    with pytest.raises(InputError, match=match) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f'{tmp_path}/a.xml:')
    assert '\n' not in str(error.value)
