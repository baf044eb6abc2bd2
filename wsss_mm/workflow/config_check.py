"""Refuse config keys and command-line options that nothing would read.

A config is a Python file whose variables become its keys, so a misspelt key is one that
nobody asks for: the run goes on without it. What is checked:

* A dict with a `type` holds only arguments of what the type names.
* Sections without a type (`train_cfg`, `env_cfg`, data loaders, ...) hold only what
  MMEngine reads of them.
* A variable of a config file is a key that somebody reads (`read_keys`), or the file
  itself uses it. Base files may offer variables that not every child uses, and a file
  that training dumped (no `_base_`, all values written out) uses none: there a variable
  is refused only where it is one typing error away from a key that is read.
* An option names a key that is read. Changing a helper variable such as `max_iters`
  changes nothing, as the file has copied its value into other keys by then.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wsss_mm.utils.errors import InputError
from wsss_mm.utils.spelling import is_slip
from wsss_mm.workflow.config_keys import GRAMMAR, accepted_keys, read_keys
from wsss_mm.workflow.config_variables import ConfigFile, read_chain

SHOWN = 12


def check_config(cfg: Config, path: str | Path) -> None:
    """Check that somebody reads every key of a config file.

    Args:
        cfg: The config as read, its custom imports done.
        path: Its file.

    Raises:
        ValueError: If nothing reads a key. The message names the file, the key with
            the dicts around it, and the nearest key.
    """
    files = read_chain(Path(path))
    for file in files:
        check_variables(file, files, cfg, leaf=file is files[0])
    for key, value in cfg.items():
        for place, node, owners in dicts_below(value, (key,), ()):
            accepted = accepted_keys(cfg, node, place, owners)
            if accepted is None:
                continue
            for name in node:
                if name not in accepted | GRAMMAR:
                    raise unread(f'{path}: ', (*place, name), accepted, node)


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Check that somebody reads every key that command-line options set.

    Args:
        cfg: The config as read, the options not yet merged into it.
        options: Values by dotted key; entries of a list go by their number.

    Raises:
        ValueError: If nothing reads a key. The message names the nearest.
        TypeError: If the options cannot be merged into the config; so do KeyError and
            IndexError, as :meth:`mmengine.Config.merge_from_dict` raises them.
    """
    merged = copy.deepcopy(cfg)
    merged.merge_from_dict(copy.deepcopy(dict(options)))
    for key in keys_set(options):
        check_option(cfg, merged, key.split('.'))


def keys_set(options: Mapping[str, Any]) -> Iterator[str]:
    """List the dotted keys that options set, those inside of dicts too."""
    for key, value in options.items():
        if isinstance(value, dict) and value:
            yield from (f'{key}.{inner}' for inner in keys_set(value))
        else:
            yield key


def check_option(cfg: Config, merged: Config, parts: Sequence[str]) -> None:
    """Follow one option through a config, and refuse it where nothing reads it."""
    if parts[0] not in read_keys(merged):
        raise unread_variable('--cfg-options ', parts, merged, copied=parts[0] in cfg)
    before: Any = cfg
    node: Any = merged
    owners: tuple[dict, ...] = ()
    for number, part in enumerate(parts):
        if isinstance(node, dict) and number:
            accepted = accepted_keys(merged, node, tuple(parts[:number]), owners)
            known = before if isinstance(before, dict) else {}
            if accepted is None and part not in known:
                accepted = near_misses(part, known)
            if accepted is not None and part not in accepted | GRAMMAR:
                raise unread('--cfg-options ', parts[: number + 1], accepted, node)
            owners = (*owners, node) if 'type' in node else owners
        node, before = child(node, part), child(before, part)


def child(node: Any, part: str) -> Any:
    """Step into a dict or a list; ``None`` where there is nothing."""
    if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    return node.get(part) if isinstance(node, (dict, Config)) else None


def near_misses(part: str, known: Iterable[str]) -> frozenset[str] | None:
    """List the keys that a new one is a slip away from; ``None`` without any."""
    return frozenset(name for name in known if is_slip(part, name)) or None


def dicts_below(
    value: Any, place: tuple[str, ...], owners: tuple[dict, ...]
) -> Iterator[tuple[tuple[str, ...], dict, tuple[dict, ...]]]:
    """Go through all dicts of a value.

    Yields:
        Where it stands, the dict, and the dicts with a type around it, outermost first.
    """
    if isinstance(value, dict):
        yield place, value, owners
        inner = (*owners, value) if 'type' in value else owners
        for key in value:
            yield from dicts_below(value[key], (*place, str(key)), inner)
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from dicts_below(part, (*place, str(index)), owners)


def check_variables(
    file: ConfigFile, files: Sequence[ConfigFile], cfg: Config, *, leaf: bool
) -> None:
    """Refuse a variable of a file that is not a key and that no file uses.

    Args:
        file: One of the chain.
        files: The config file and all that it inherits from.
        cfg: What they make together.
        leaf: Whether it is the config file itself.
    """
    known = read_keys(cfg)
    used = file.loaded.union(*(other.from_bases for other in files))
    strict = leaf and not file.written_out
    for name in file.assigned:
        if name in known or name in used:
            continue
        if strict or near_misses(name, known):
            copied = any(name in other.assigned for other in files[1:]) and leaf
            raise unread_variable(f'{file.path}: ', [name], cfg, copied=copied)


def unread_variable(
    start: str, parts: Sequence[str], cfg: Config, *, copied: bool
) -> InputError:
    """Say that nothing reads a top-level key, and which keys it may stand for.

    Args:
        start: Where it was set.
        parts: The key, and what follows it in an option.
        cfg: The whole config.
        copied: Whether base files set it and have copied its value into other keys.
    """
    known = read_keys(cfg)
    if not copied:
        near = get_close_matches(parts[0], sorted(known), n=1)
        hint = f'did you mean {near[0]}?' if near else 'no key has a similar name'
        return InputError(f'{start}{".".join(parts)}: nothing reads this key; {hint}')
    places = [
        '.'.join((*place, *parts))
        for key in sorted(known & set(cfg))
        for place, node, _ in dicts_below(cfg[key], (key,), ())
        if parts[0] in node
    ]
    more = f' and {len(places) - 3} more' if len(places) > 3 else ''
    instead = f'; set {", ".join(places[:3])}{more}' if places else ''
    return InputError(
        f'{start}{".".join(parts)}: config files copy this variable into other keys '
        f'before it is set here, so that it changes nothing{instead}'
    )


def unread(
    start: str, place: Sequence[str], accepted: frozenset[str], node: dict
) -> InputError:
    """Say that nothing reads a key of a dict, and which it may have meant."""
    near = get_close_matches(place[-1], sorted(accepted), n=1)
    kind = node.get('type', '')
    kind = getattr(kind, '__name__', kind)
    what = f'{kind} has no such argument' if kind else 'nothing reads this key'
    shown = sorted(accepted - {'self'})
    more = ', ...' if len(shown) > SHOWN else ''
    hint = (
        f'did you mean {near[0]}?' if near else f'it takes {", ".join(shown[:SHOWN])}'
    )
    return InputError(f'{start}{".".join(place)}: {what}; {hint}{"" if near else more}')
