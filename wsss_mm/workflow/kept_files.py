"""Files that an earlier run left: which are done, and what they were made with."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from wsss_mm.io.atomic import atomic_write, remove_unfinished
from wsss_mm.io.json_text import read_object
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.precision import predicts_in_half
from wsss_mm.workflow.weights import fingerprint, start_weights

SHOWN = 4
LONGEST = 200


def remaining(
    names: Sequence[str], *folders: tuple[Path, str], overwrite: bool
) -> list[int]:
    """List the images that lack a file in some folder.

    Args:
        names: Names of the images.
        folders: Each folder, and the ending of its files.
        overwrite: Whether every image lacks them.

    Returns:
        Their indices.
    """
    todo = [
        i
        for i, name in enumerate(names)
        if overwrite
        or not all((folder / f'{name}{suffix}').is_file() for folder, suffix in folders)
    ]
    place = ', '.join(str(folder) for folder, _ in folders)
    LOGGER.info(
        f'{place}: {len(names) - len(todo)} of {len(names)} images are done already'
    )
    return todo


def note_path(folder: Path) -> Path:
    """Name the note of a folder: ``<folder>.settings.json`` beside it."""
    return folder.with_name(f'{folder.name}.settings.json')


def note_settings(
    folder: Path, settings: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Note the settings that a folder's files are made with, or refuse to mix them.

    Files without a note, as other programs leave them, are kept and said to be. What a
    killed command left unfinished is removed.

    Args:
        folder: Folder of the files.
        settings: All that the files depend on.
        overwrite: Whether every file is made anew.

    Raises:
        ValueError: If the folder's files were made with other settings, or its note
            cannot be read.
    """
    note = note_path(folder)
    if is_main_process():
        remove_unfinished(folder, below=True)
        remove_unfinished(folder.parent)
    # As JSON keeps it: tuples are lists, and types are text.
    wanted = json.loads(json.dumps(settings, default=str))
    if note.is_file() and not overwrite:
        refuse_others(folder, read_note(note), wanted)
    elif not overwrite and folder.is_dir() and any(folder.iterdir()):
        LOGGER.info(f'{folder}: kept as it is; no {note.name} says what made it')
    elif is_main_process():
        with atomic_write(note) as part:
            part.write_text(json.dumps(wanted, indent=1))


def read_note(note: Path) -> dict[str, Any]:
    """Read a note.

    Raises:
        ValueError: If it is not a JSON object.
    """
    try:
        return read_object(note, kind='a note of settings')
    except InputError as error:
        raise InputError(
            f'{note}: not readable ({error}); delete it together with the files it '
            'speaks of'
        ) from error


def refuse_others(folder: Path, found: Any, wanted: Any) -> None:
    """Refuse a folder whose noted settings are not the wanted ones."""
    changes = list_changes(found, wanted)
    if changes:
        raise InputError(
            f'{folder}: its files were made with other settings; add --overwrite to '
            f'make them anew, or choose another --out\n  {changes}'
        )


def list_changes(found: Any, wanted: Any) -> str:
    """Say which nested settings differ, a line each; nothing where none does."""
    before, now = dict(flatten(found)), dict(flatten(wanted))
    changed = [
        f'{name}: {shown(before, name)}, now {shown(now, name)}'
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    rest = len(changed) - SHOWN
    more = [f'and {rest} more'] if rest > 0 else []
    return '\n  '.join([*changed[:SHOWN], *more])


def shown(settings: Mapping[str, Any], name: str) -> str:
    """Write a setting for a line of a message."""
    if name not in settings:
        return 'nothing'
    text = str(settings[name])
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'


def flatten(value: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """List the values of nested settings under dotted names."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from flatten(part, f'{name}.{key}' if name else str(key))
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from flatten(part, f'{name}.{index}')
    else:
        yield name, value


def network_settings(cfg: Config, checkpoint: str | Path | None) -> dict[str, Any]:
    """List what a CAM network's masks depend on, and apart from it the CAMs.

    Args:
        cfg: Config as it will be run, its ``model`` and test pipeline final.
        checkpoint: The network's weights, or the folder it was trained into; None for
            a network that needs no training.

    Returns:
        ``threshold``, which the masks alone depend on, and ``cams``.
    """
    model = copy.deepcopy(cfg.model)
    test_cfg = model.get('module', model)['test_cfg']
    threshold = test_cfg.pop('background_threshold')
    cams = dict(
        weights=fingerprints(cfg) if checkpoint is None else fingerprint(checkpoint),
        model=model,
        pipeline=cfg.test_dataloader.dataset.pipeline,
    )
    if predicts_in_half(cfg):
        # Named only where it is so: earlier notes do not speak of it.
        cams['amp'] = True
    return dict(cams=cams, threshold=threshold)


def fingerprints(cfg: Config) -> dict[str, str]:
    """Sum up the weights that a network without training starts from, by their key."""
    files = start_weights(cfg)
    known = {file: fingerprint(file) for file in set(files.values())}
    return {key: known[file] for key, file in files.items()}


def settings_of(folder: Path) -> dict[str, Any] | None:
    """Read what a folder's files were made with; ``None`` where nothing says so."""
    note = note_path(folder)
    return read_note(note) if note.is_file() else None


def noted_threshold(folder: Path) -> float | None:
    """Read the background threshold that a folder's masks were made with.

    Returns:
        A number in [0, 1); None where nothing says which.

    Raises:
        ValueError: If the note cannot be read, or holds another value.
    """
    found = (settings_of(folder) or {}).get('threshold')
    if found is None or found == 'auto':
        return None
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not is_number or not 0 <= found < 1:
        raise InputError(
            f'{note_path(folder)}: threshold is {brief(found)}, not a number in [0, 1);'
            ' delete it together with the files it speaks of'
        )
    return float(found)
