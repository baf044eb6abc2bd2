"""XML of other people: of limited size, and without entities that could grow."""

from pathlib import Path
from xml.etree import ElementTree

from wsss_mm.io.limits import MOST_TABLE_BYTES, read_bytes
from wsss_mm.io.wording import first_line
from wsss_mm.utils.errors import InputError


def parse_xml(path: str | Path, *, most: int = MOST_TABLE_BYTES) -> ElementTree.Element:
    """Read an XML file without a document type.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        InputError: If it is missing, no XML, or has a document type.
    """
    try:
        content = read_bytes(path, most=most, kind='an XML file')
    except FileNotFoundError as error:
        raise InputError(f'no file {path}; give the exported annotations') from error
    if b'<!DOCTYPE' in content or b'<!ENTITY' in content:
        raise InputError(f'{path}: a document type, which is not read; remove it')
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(
            f'{path}: no valid XML ({first_line(error)}); export it again'
        ) from error
