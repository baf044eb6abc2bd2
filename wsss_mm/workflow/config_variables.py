"""The variables of config files: which they set, and which of them are used where."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wsss_mm.utils.errors import InputError

BASE = '_base_'


@dataclass(frozen=True)
class ConfigFile:
    """What one config file does with variables.

    Attributes:
        path: The file.
        assigned: Variables that it sets, in order.
        loaded: Names that it uses.
        from_bases: Variables of its base files that it uses.
        bases: The files that it inherits from, as written there.
    """

    path: Path
    assigned: tuple[str, ...]
    loaded: frozenset[str]
    from_bases: frozenset[str]
    bases: tuple[str, ...]

    @property
    def written_out(self) -> bool:
        """Whether it has no base and no variable that it uses, as dumped configs."""
        return not self.bases and not self.loaded & set(self.assigned)


def read_chain(path: Path) -> list[ConfigFile]:
    """Read a config file and all that it inherits from, the file itself first.

    Files of another form than Python, and bases in installed packages
    (``package::path``), are left out.
    """
    if path.suffix != '.py':
        return []
    file = read_variables(path)
    found = [file]
    for base in file.bases:
        if '::' not in base:
            found += read_chain(path.parent / base)
    return found


def read_variables(path: Path) -> ConfigFile:
    """Read one config file.

    Raises:
        ValueError: If it is not Python.
    """
    # Placeholders such as {{_base_.name}} and {{'$NAME:7'}} are sets, and so parse.
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'), filename=str(path))
    except SyntaxError as error:
        raise InputError(f'{path}: not a config that Python can read') from error
    assigned: dict[str, ast.expr | None] = {}
    for statement in tree.body:
        for name, value in assignments(statement):
            assigned[name] = value
    bases = base_names(assigned.pop(BASE, None))
    loaded = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    inherited = {inherited_name(node) for node in ast.walk(tree)} - {''}
    return ConfigFile(
        path, tuple(assigned), frozenset(loaded), frozenset(inherited), bases
    )


def assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """List the variables that a statement sets, with their values."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    else:
        return
    for node in (node for target in targets for node in ast.walk(target)):
        if not isinstance(node, ast.Name) or node.id.startswith('__'):
            continue
        if isinstance(node.ctx, ast.Store):
            yield node.id, statement.value


def base_names(value: ast.expr | None) -> tuple[str, ...]:
    """Read what ``_base_`` is set to: a name or a list of names."""
    if value is None:
        return ()
    constants = [
        node.value for node in ast.walk(value) if isinstance(node, ast.Constant)
    ]
    return tuple(one for one in constants if isinstance(one, str))


def inherited_name(node: ast.AST) -> str:
    """Recognise ``_base_.name`` and ``_base_['name']``; else return nothing."""
    if not isinstance(node, (ast.Attribute, ast.Subscript)):
        return ''
    if not isinstance(node.value, ast.Name) or node.value.id != BASE:
        return ''
    if isinstance(node, ast.Attribute):
        return node.attr
    key = node.slice
    return str(key.value) if isinstance(key, ast.Constant) else ''
