"""JSON of other people: any text ends in a value or in a line that names its place."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsss_mm.io.limits import MOST_NOTE_BYTES, read_text
from wsss_mm.io.wording import first_line
from wsss_mm.utils.errors import InputError

# Nobody writes deeper ones, and what walks through a value calls itself at each level.
DEEPEST = 50
TOO_DEEP = 'lists in too many lists; flatten them'
LONG_NUMBER = re.compile(r'\d{1000}')
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[]}]', re.DOTALL)


def parse_json(
    text: str,
    *,
    where: object,
    numbered: bool = True,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    deepest: int | None = DEEPEST,
) -> Any:
    """Read JSON text.

    Args:
        text: Of a file, or of a part of one.
        where: File, or file and line, for the message.
        numbered: Whether the text is a whole file, whose lines count from 1.
        pairs: Makes an object of its pairs; a dict if None.
        deepest: Lists that may stand in lists; None where nothing walks through them.

    Raises:
        InputError: If it is not JSON, or lists stand in too many lists.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        line = error.lineno
        reason = f'no valid JSON ({error.msg})'
    except RecursionError:
        line, reason = line_of_depth(text, DEEPEST), TOO_DEEP
    except ValueError as error:  # a number of thousands of digits
        found = LONG_NUMBER.search(text)
        line = text.count('\n', 0, found.start() if found else 0) + 1
        reason = first_line(error)
    else:
        line, reason = 0, TOO_DEEP
        if deepest is not None:
            line = line_of_depth(text, deepest)
        if not line:
            return value
    place = f'{where}:{line}' if numbered else f'{where}'
    raise InputError(f'{place}: {reason}; correct this line')


def line_of_depth(text: str, deepest: int) -> int:
    """Find the line where lists stand too deep in lists; 0 if there is none."""
    if text.count('[') + text.count('{') <= deepest:
        return 0
    depth = 0
    for token in TOKENS.finditer(text):
        first = token[0][0]
        depth += (first in '[{') - (first in ']}')
        if depth > deepest:
            return text.count('\n', 0, token.start()) + 1
    return 0


def read_object(
    path: str | Path,
    *,
    kind: str,
    most: int = MOST_NOTE_BYTES,
    deepest: int | None = DEEPEST,
) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: The file.
        kind: What it should be, for the message.
        most: Bytes that it may have.
        deepest: As in `parse_json`.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it cannot be read, or holds something else.
    """
    text = read_text(path, most=most, kind=kind)
    value = parse_json(text, where=path, deepest=deepest)
    if not isinstance(value, dict):
        raise InputError(f'{path}: {kind} is a JSON object, not a list or a value')
    return value
