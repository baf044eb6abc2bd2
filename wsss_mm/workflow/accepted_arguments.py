"""Which arguments a registered class or function takes, read off its signature."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from mmengine.registry import Registry, root

# What MMEngine and MMCV take out of a config before they call what it names.
TAKEN_BY_BUILDERS = {
    'hook': {'priority'},
    'optim_wrapper': {'constructor', 'paramwise_cfg'},
    'parameter scheduler': {'convert_to_iter_based'},
    'weight initializer': {'layer', 'override'},
}
ROOT_REGISTRIES = tuple(
    value for value in vars(root).values() if isinstance(value, Registry)
)


def registered(name: Any, scope: str) -> Iterator[tuple[str, Callable]]:
    """Find what a config's ``type`` names.

    Args:
        name: A registered name, with or without its scope, or the class itself.
        scope: Where names without a scope are looked up first, as ``mmseg``.

    Yields:
        Name of the registry (empty for a class) and what is registered there. A name
        may stand in several registries; an unknown name in none.
    """
    if not isinstance(name, str):
        yield '', name
        return
    for registry in ROOT_REGISTRIES:
        # Not every registry has a branch of that scope.
        found = registry.get(f'{scope}.{name}') if '.' not in name else None
        found = found or registry.get(name)
        if callable(found):
            yield registry.name, found


def accepted_arguments(name: Any, scope: str) -> frozenset[str] | None:
    """List the arguments that a config of this ``type`` may hold.

    Args:
        name: The value of ``type``.
        scope: Where names without a scope are looked up first.

    Returns:
        Names of arguments, of all registries that know the type; ``None`` where any
        is taken or nothing is known.
    """
    names: set[str] = set()
    found = list(registered(name, scope))
    for registry, target in found:
        arguments = arguments_of(target)
        if arguments is None:
            return None
        names |= arguments | TAKEN_BY_BUILDERS.get(registry, set())
    return frozenset(names) if found else None


@cache
def arguments_of(target: Callable) -> frozenset[str] | None:
    """List the arguments of a class or function; ``None`` if it takes any.

    A class that hands its ``**kwargs`` to its parent takes the parent's arguments too.
    One that does something else with them takes any.
    """
    if not inspect.isclass(target):
        names, rest = parameters(target)
        return None if rest else names
    accepted: set[str] = set()
    for owner in target.__mro__:
        if owner is object or '__init__' not in vars(owner):
            continue
        init = vars(owner)['__init__']
        names, rest = parameters(init)
        accepted |= names - {'self'}
        if not rest:
            return frozenset(accepted)
        read = passed_to_parent(init, rest)
        if read is None:
            return None
        accepted |= read
    return frozenset(accepted)


def parameters(function: Callable) -> tuple[frozenset[str], str]:
    """Give the names of a function's parameters, and that of its ``**kwargs``.

    Returns:
        Names that can be given by keyword, and the name of the bag: empty without
        one, ``**`` where the signature is unknown.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:  # written in C
        return frozenset(), '**'
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    bags = [one.name for one in found if one.kind == inspect.Parameter.VAR_KEYWORD]
    return frozenset(one.name for one in found if one.kind in kinds), ''.join(bags)


def passed_to_parent(init: Callable, bag: str) -> set[str] | None:
    """See what a constructor does with its ``**kwargs``.

    Args:
        init: The constructor.
        bag: Name of its ``**kwargs``.

    Returns:
        Names that it reads itself, if it hands the rest to its parent's constructor
        and to nobody else; else ``None``.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError):  # no source at hand
        return None
    uses = {
        id(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == bag
    }
    read: set[str] = set()
    forwarded = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_parent_init(node.func):
            for keyword in node.keywords:
                if keyword.arg is None and id(keyword.value) in uses:
                    uses.remove(id(keyword.value))
                    forwarded = True
        name, holder = read_name(node)
        if name and id(holder) in uses:
            uses.remove(id(holder))
            read.add(name)
    return read if forwarded and not uses else None


def is_parent_init(function: ast.expr) -> bool:
    """Recognise ``super().__init__`` and ``Parent.__init__``."""
    return isinstance(function, ast.Attribute) and function.attr == '__init__'


def read_name(node: ast.AST) -> tuple[str, ast.AST | None]:
    """Recognise ``kwargs['name']``, ``kwargs.get('name')`` and the like.

    Returns:
        The name and the node of the dict; an empty name for anything else.
    """
    key: ast.AST | None
    holder: ast.AST
    if isinstance(node, ast.Subscript):
        key, holder = node.slice, node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        key, holder = next(iter(node.args), None), node.func.value
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        key, holder = node.left, node.comparators[0]
    else:
        return '', None
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return key.value, holder
    return '', None


def names_read(section: str, targets: list[type]) -> frozenset[str] | None:
    """List the keys that classes read from a dict such as ``test_cfg``.

    Args:
        section: Name of the dict in their source.
        targets: The classes; the modules of their parents are searched too.

    Returns:
        The keys, or ``None`` where a source cannot be read or no key is found.
    """
    pattern = re.compile(
        rf"{section}(?:\.get\(\s*|\.pop\(\s*|\[)['\"](\w+)['\"]|{section}\.(\w+)\b(?!\()"
    )
    modules = {
        parent.__module__: parent
        for target in targets
        for parent in inspect.getmro(target)
        if parent is not object
    }
    names: set[str] = set()
    for parent in modules.values():
        try:
            text = inspect.getsource(inspect.getmodule(parent) or parent)
        except (OSError, TypeError):  # no source at hand
            return None
        names |= {first or second for first, second in pattern.findall(text)}
    return frozenset(names) or None
