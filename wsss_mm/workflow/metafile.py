"""Metafiles: what a config is said to reach, in a form that can be checked.

A result of a model may carry a `Verify` entry beside the words for people:

    Results:
      - Task: CAM on train (311 images), 4 scales and mirrors
        Metrics: {mIoU at 0.20: 28.6}
        Verify:
          Predictions: cams           # CAM files or masks, below the work folder
          Threshold: 0.20             # of CAM files; a number or auto
          Values: {mIoU: 28.60, mIoU_best: 30.70}
          Tolerance: 0.1              # of every value, in the value's unit

or, for a network, `Checkpoint` (below the work folder) instead of `Predictions`, `TTA:
true` for several scales and mirrors, and `Config` if it is not the model's own. The
`Metadata` must then state Recipe, Seed, Hardware and Commit.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.yaml_file import Located, read_yaml

FIGURES = ('mIoU', 'mIoU_best', 'best_threshold', 'mFN', 'mFP')
CURVE_FIGURES = ('mIoU_best', 'best_threshold')
AUTO = 'auto'
# Figures are percentages and fractions.
LARGEST = 1e6
MOST_TOLERANCE = 100
PROVENANCE = ('Recipe', 'Seed', 'Hardware', 'Commit')


@dataclass(frozen=True)
class Check:
    """Figures that evaluating one thing again must give.

    Attributes:
        model: Name of the model in the metafile.
        task: What was evaluated, in words.
        config: Config file whose test data it is evaluated on.
        values: Stated figures by their key in the evaluation's JSON.
        tolerance: Largest difference that still counts as the same.
        predictions: Folder of CAM files or masks, or None.
        checkpoint: Checkpoint of the config's network, or None.
        threshold: Background threshold of CAM files; None for masks.
        tta: Whether the network is tested at several scales.
    """

    model: str
    task: str
    config: str
    values: dict[str, float]
    tolerance: float
    predictions: str | None = None
    checkpoint: str | None = None
    threshold: float | str | None = None
    tta: bool = False

    @property
    def needs_curve(self) -> bool:
        """Whether a stated figure is a maximum over thresholds."""
        return any(key in self.values for key in CURVE_FIGURES)


def read_checks(path: str | Path) -> dict[str, list[Check]]:
    """Read what a metafile states.

    Returns:
        For each model, its checks; an empty list where nothing can be checked.

    Raises:
        ValueError: If the file is missing or no metafile, or an entry has an
            unknown field, lacks one or holds the wrong kind of value.
    """
    content = read_yaml(path, kind='metafile')
    check_fields(content, str(path), needed=['Models'], known=['Collections'])
    checks: dict[str, list[Check]] = {}
    for number, model in enumerate(list_of(content, 'Models', str(path)), start=1):
        where = f'{at(path, model)}: model {number}'
        known = ['In Collection', 'Metadata', 'Results']
        check_fields(model, where, needed=['Name', 'Config'], known=known)
        name = text_of(model, 'Name', where)
        if name in checks:
            raise InputError(f'{where}: two models are called {name}')
        checks[name] = checks_of(model, path)
    return checks


def checks_of(model: Mapping[str, Any], path: str | Path) -> list[Check]:
    """Read the results of one model that can be checked."""
    checks = []
    name = f'{at(path, model)}: {model["Name"]}'
    text_of(model, 'Config', name)
    for result in list_of(model, 'Results', name):
        where = f'{at(path, result)}: {model["Name"]}'
        known = ['Dataset', 'Metrics', 'Verify']
        check_fields(result, where, needed=['Task'], known=known)
        if 'Verify' in result:
            told = model.get('Metadata') or {}
            if not isinstance(told, dict):
                raise InputError(f'{name}: Metadata is {brief(told)}, not fields')
            lacking = [key for key in PROVENANCE if key not in told]
            if lacking:
                raise InputError(
                    f'{where}: a result to verify needs {", ".join(lacking)} in the '
                    'Metadata'
                )
            task = text_of(result, 'Task', where)
            entry = result['Verify']
            place = f'{at(path, entry)}: {model["Name"]}, {task}'
            checks.append(read_check(entry, model, task, place))
    return checks


def at(path: str | Path, entry: object) -> str:
    """Name the file, and the line where an entry begins."""
    return f'{path}:{entry.line}' if isinstance(entry, Located) else f'{path}'


def list_of(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Give a field that is a list, or empty."""
    found = entry.get(key)
    if found is not None and not isinstance(found, list):
        raise InputError(f'{where}: {key} must be a list, not {brief(found)}')
    return found or []


def text_of(entry: Mapping[str, Any], key: str, where: str) -> str:
    """Give a field that is one line of text, or a number."""
    found = entry[key]
    text = str(found) if isinstance(found, (int, str)) else ''
    if not text.strip() or not text.isprintable():
        raise InputError(f'{where}: {key} is {brief(found)}; write a line of text')
    return text


def check_trusted(config: str | Path, folders: Collection[str | Path]) -> None:
    """Refuse to run a config that a metafile names somewhere else.

    Args:
        config: The config file; it is code.
        folders: Folders whose configs may be run.

    Raises:
        ValueError: If it lies in none of them, links followed.
    """
    real = Path(config).resolve()
    if any(real.is_relative_to(Path(folder).resolve()) for folder in folders):
        return
    raise InputError(
        f'{config}: a config is code, and this one is none of ours, so that it is not '
        f'run; if you trust it, name its folder: --configs {Path(config).parent}'
    )


def read_check(entry: Any, model: Mapping[str, Any], task: str, where: str) -> Check:
    """Read one `Verify` entry."""
    sources = ('Predictions', 'Checkpoint')
    known = [*sources, 'Config', 'Threshold', 'TTA']
    check_fields(entry, where, needed=['Values', 'Tolerance'], known=known)
    if sum(key in entry for key in sources) != 1:
        raise InputError(f'{where}: give either Predictions or Checkpoint')
    if 'Threshold' in entry and 'Checkpoint' in entry:
        raise InputError(f'{where}: Threshold goes with Predictions')
    if 'TTA' in entry and 'Predictions' in entry:
        raise InputError(f'{where}: TTA goes with Checkpoint')
    values, tolerance = entry['Values'], entry['Tolerance']
    if not isinstance(values, dict) or not values or set(values) - set(FIGURES):
        raise InputError(
            f'{where}: Values is {brief(values)}; name figures out of '
            f'{", ".join(FIGURES)}'
        )
    for key, value in [*values.items(), ('Tolerance', tolerance)]:
        if not is_number(value):
            raise InputError(f'{where}: {key} is {brief(value)}; give a number')
    if not 0 <= tolerance < MOST_TOLERANCE:
        raise InputError(
            f'{where}: Tolerance is {tolerance}; give a number in [0, {MOST_TOLERANCE})'
        )
    check_source(entry, where)
    return Check(
        model=str(model['Name']),
        task=task,
        config=text_of({**model, **entry}, 'Config', where),
        values={key: float(value) for key, value in values.items()},
        tolerance=float(tolerance),
        predictions=entry.get('Predictions'),
        checkpoint=entry.get('Checkpoint'),
        threshold=entry.get('Threshold'),
        tta=entry.get('TTA', False),
    )


def check_source(entry: Mapping[str, Any], where: str) -> None:
    """Refuse a source outside the work folder, and options of the wrong kind."""
    key = 'Predictions' if 'Predictions' in entry else 'Checkpoint'
    path = Path(text_of(entry, key, where))
    if path.is_absolute() or '..' in path.parts:
        raise InputError(f'{where}: {key} is {path}; name one below the work folder')
    threshold, tta = entry.get('Threshold'), entry.get('TTA', False)
    fits = threshold in (None, AUTO) or (is_number(threshold) and 0 <= threshold < 1)
    if not fits:
        raise InputError(
            f'{where}: Threshold is {brief(threshold)}; give a number in [0, 1) or '
            f'{AUTO}'
        )
    if not isinstance(tta, bool):
        raise InputError(f'{where}: TTA is {brief(tta)}; give true or false')


def is_number(value: object) -> bool:
    """Say whether a value is a number that others can be compared with."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= LARGEST


def check_fields(
    entry: Any, where: str, *, needed: Collection[str], known: Collection[str]
) -> None:
    """Refuse an entry that lacks a field or has one that nobody knows."""
    if not isinstance(entry, dict):
        raise InputError(f'{where}: {brief(entry)} is not a mapping of fields')
    unknown = [str(key) for key in entry if key not in (*needed, *known)]
    if unknown:
        fields = ', '.join([*needed, *known])
        raise InputError(
            f'{where}: unknown field {brief(unknown[0])}; there are {fields}'
        )
    lacking = [key for key in needed if key not in entry]
    if lacking:
        raise InputError(f'{where}: the field {lacking[0]} is missing')
