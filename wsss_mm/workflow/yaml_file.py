"""YAML of anybody: plain values, each once, with the lines that they stand on."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from wsss_mm.io.limits import MOST_YAML_BYTES, read_text
from wsss_mm.io.wording import first_line, shorten
from wsss_mm.utils.errors import InputError

DEEPEST = 50
BRACKETS = re.compile(r'[\[\]{}]')


class Located(dict[Any, Any]):
    """A mapping that knows its line.

    Attributes:
        line: Of its first key, from 1.
    """

    line = 0


class PlainLoader(yaml.SafeLoader):
    """Load values without objects, merged mappings and repeated keys."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse to merge mappings: a few lines would grow to gigabytes."""
        for key, _ in node.value:
            if key.tag == 'tag:yaml.org,2002:merge':
                raise yaml.MarkedYAMLError(
                    problem='a mapping is merged (<<); write its fields out',
                    problem_mark=key.start_mark,
                )

    def construct_located(self, node: yaml.MappingNode) -> Iterator[Located]:
        """Make a mapping."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem=f'the field {key.value!r} stands there twice; keep one',
                    problem_mark=key.start_mark,
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        found = Located()
        found.line = node.start_mark.line + 1
        yield found
        found.update(self.construct_mapping(node))


PlainLoader.add_constructor('tag:yaml.org,2002:map', PlainLoader.construct_located)


def read_yaml(path: str | Path, *, kind: str) -> Any:
    """Read a YAML file; mappings are `Located`.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Raises:
        InputError: If it is missing, too large, or not such YAML.
    """
    try:
        text = read_text(path, most=MOST_YAML_BYTES, kind=f'a {kind}')
        refuse_depth(text, path)
        return yaml.load(text, PlainLoader)
    except FileNotFoundError as error:
        raise InputError(
            f'{path}: no {kind} that can be read (no such file)'
        ) from error
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f'{path}:{mark.line + 1}' if mark else f'{path}'
        reason = shorten(error.problem or first_line(error))
        raise InputError(f'{place}: no {kind} that can be read ({reason})') from error
    # Characters, dates and numbers that are none, and lists in too many lists.
    except Exception as error:
        raise InputError(
            f'{path}: no {kind} that can be read ({first_line(error)})'
        ) from error


def refuse_depth(text: str, path: str | Path) -> None:
    """Refuse brackets in many brackets, which take the parser minutes.

    Raises:
        InputError: If more than `DEEPEST` are open at one place, quoted ones included.
    """
    depth = 0
    for place in BRACKETS.finditer(text):
        depth += 1 if place[0] in '[{' else -1
        if depth > DEEPEST:
            line = text.count('\n', 0, place.start()) + 1
            raise InputError(f'{path}:{line}: lists in too many lists; flatten them')
