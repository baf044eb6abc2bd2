"""The classes of objects in detection XML, read as a stream: no tree is built.

XML of strangers may hold millions of elements, or entities that grow to gigabytes.
"""

from pathlib import Path
from typing import Any
from xml.parsers import expat

from wsss_mm.io.limits import MOST_OBJECTS, MOST_XML_BYTES, read_bytes
from wsss_mm.io.wording import brief, first_line
from wsss_mm.utils.errors import InputError

ROOT = 'annotation'
DEEPEST = 50


def read_object_names(path: str | Path) -> list[str]:
    """Read the class of every object of PASCAL VOC detection XML, in order.

    Parts of objects do not count.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is too large, no XML, or XML of another kind.
    """
    content = read_bytes(path, most=MOST_XML_BYTES, kind='detection XML')
    reader = Reader()
    try:
        reader.parser.Parse(content, True)
    except Refusal as error:
        raise InputError(f'{path}:{reader.line}: {error}') from error
    # Encodings that Python knows or does not know, and malformed text.
    except Exception as error:
        raise InputError(
            f'{path}:{reader.line}: no valid XML ({first_line(error)}); get the file '
            'again, or save it as UTF-8'
        ) from error
    return reader.names


class Refusal(Exception):
    """Say what makes well-formed XML no annotation."""


class Reader:
    """Collect the names of the objects that a parser comes across."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._place: list[str] = []
        # Of the object that is read: the parts of its first name, which may be open.
        self._name: list[str] = []
        self._named = self._open = False
        self.parser: Any = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    @property
    def line(self) -> int:
        """Number of the line that is read."""
        return int(self.parser.CurrentLineNumber)

    def _refuse_doctype(self, *_: object) -> None:
        raise Refusal('a document type, whose entities are not read; remove it')

    def _start(self, tag: str, attributes: object) -> None:
        if not self._place and tag != ROOT:
            raise Refusal(
                f'the outermost element is {brief(tag)}, in PASCAL VOC detection XML '
                f'it is {ROOT!r}; convert the annotations, or write a tag table'
            )
        self._place.append(tag)
        if len(self._place) > DEEPEST:
            raise Refusal('elements in too many elements')
        if self._place == [ROOT, 'object']:
            self._name, self._named = [], False
        elif self._place == [ROOT, 'object', 'name']:
            self._open = not self._named
            self._named = True
        else:
            self._open = False

    def _text(self, text: str) -> None:
        if self._open:
            self._name.append(text)

    def _end(self, tag: str) -> None:
        self._open = False
        if self._place == [ROOT, 'object']:
            name = ''.join(self._name).strip()
            if not name:
                raise Refusal('an object without a name; write its class into <name>')
            self.names.append(name)
            if len(self.names) > MOST_OBJECTS:
                raise Refusal(f'more than {MOST_OBJECTS:,} objects in one image')
        self._place.pop()
