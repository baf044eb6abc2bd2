"""Score files: class scores with a strong and a weak background, for AffinityNet."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_mm.io.array_file import load_arrays
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.cam_file import (
    LARGEST,
    find_problem_of_classes,
    is_within_range,
    too_large,
)
from wsss_mm.utils.errors import InputError

KIND = 'score file'
REMEDY = 'delete it and make the seed scores again with tools/gen_pseudo.py'


class Scores(NamedTuple):
    """Scores of one image, background first.

    Attributes:
        classes: Foreground indices, ascending, shape (n,).
        low: Scores with the strong background (low alpha), shape (n + 1, H, W).
        high: Scores with the weak background (high alpha), shape (n + 1, H, W).
    """

    classes: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def save_scores(
    path: str | Path, classes: ArrayLike, low: ArrayLike, high: ArrayLike
) -> None:
    """Write the scores of one image.

    Args:
        path: File to write, ending in `.npz`.
        classes: Foreground indices 0..C-1, ascending, shape (n,); n may be 0.
        low: Scores with the strong background (low alpha), the background's first,
            shape (n + 1, H, W), kept as float16.
        high: Scores with the weak background (high alpha), same shape.

    Raises:
        ValueError: If the arrays break these rules, hold values that float16
            cannot, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != '.npz':
        raise InputError(f'{path}: a score file must end in .npz')
    classes, low, high = np.asarray(classes), np.asarray(low), np.asarray(high)
    if classes.size == 0:
        classes = classes.astype(np.int64)
    problem = find_problem(classes, low, high) or too_large(low, high)
    if problem:
        raise InputError(f'cannot save {path}: {problem}')
    with atomic_write(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(
            file,
            classes=classes.astype(np.int64),
            low=low.astype(np.float16),
            high=high.astype(np.float16),
        )


def load_scores(path: str | Path, *, num_classes: int | None = None) -> Scores:
    """Read the scores of one image.

    Args:
        path: File that `save_scores` wrote.
        num_classes: Foreground classes C that the indices must stay below.

    Returns:
        Classes and both kinds of scores, as float32.

    Raises:
        ValueError: If the file is missing, truncated or no score file, or holds a
            class out of range.
    """
    try:
        classes, low, high = load_arrays(path, Scores._fields, kind=KIND, remedy=REMEDY)
    except FileNotFoundError as error:
        raise InputError(
            f'no seed scores {path}; make them for the whole list with '
            'tools/gen_pseudo.py, or correct data_prefix.seed_scores_path'
        ) from error
    problem = find_problem(classes, low, high)
    if problem:
        raise InputError(f'{path} is not a score file: {problem}; {REMEDY}')
    if num_classes is not None and classes.size and classes[-1] >= num_classes:
        raise InputError(
            f'{path} holds foreground class {classes[-1]}, but there are only '
            f'{num_classes}; use the class list it was made with'
        )
    return Scores(
        classes.astype(np.int64), low.astype(np.float32), high.astype(np.float32)
    )


def find_problem(
    classes: NDArray[np.generic], low: NDArray[np.generic], high: NDArray[np.generic]
) -> str:
    """Say what makes these arrays no scores; an empty string if nothing does."""
    problem = find_problem_of_classes(classes)
    if problem:
        return problem
    for name, scores in (('low', low), ('high', high)):
        if scores.ndim != 3 or scores.dtype.kind != 'f':
            return (
                f'{name} must be floats (n + 1, H, W), not {scores.dtype} '
                f'{scores.shape}'
            )
        if len(scores) != len(classes) + 1 or 0 in scores.shape:
            return f'{len(classes)} classes do not fit {name} of shape {scores.shape}'
        if not is_within_range(scores):
            return f'{name} must be finite and within +-{LARGEST:g}'
    if low.shape != high.shape:
        return f'low and high must share one shape, not {low.shape} and {high.shape}'
    return ''
