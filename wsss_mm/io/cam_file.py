"""CAM files: the maps of the classes present in one image, as `.npz`."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_mm.io.array_file import load_arrays
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.limits import MOST_ARRAY_BYTES
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError

# A mask keeps 255 for pixels to ignore, and 0 for the background.
MOST_CLASSES = 254
LARGEST = float(np.finfo(np.float16).max)
KIND = 'CAM file'
REMEDY = 'delete it and run tools/gen_pseudo.py again'


def save_cam(path: str | Path, classes: ArrayLike, maps: ArrayLike) -> None:
    """Write the CAMs of one image.

    Args:
        path: File to write, ending in `.npz`.
        classes: Foreground indices 0..C-1, ascending, shape (n,); n may be 0.
        maps: One map for each class, shape (n, H, W), kept as float16.

    Raises:
        ValueError: If the arrays break these rules, hold values that float16
            cannot, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != '.npz':
        raise InputError(f'{path}: a CAM file must end in .npz')
    classes, maps = np.asarray(classes), np.asarray(maps)
    if classes.size == 0:
        classes = classes.astype(np.int64)
    problem = find_problem(classes, maps) or too_large(maps)
    if problem:
        raise InputError(f'cannot save {path}: {problem}')
    with atomic_write(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(
            file, classes=classes.astype(np.int64), maps=maps.astype(np.float16)
        )


def load_cam(
    path: str | Path, *, num_classes: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read the CAMs of one image.

    Args:
        path: File that `save_cam` wrote.
        num_classes: Foreground classes C that the indices must stay below.

    Returns:
        Foreground indices, shape (n,), and float32 maps, shape (n, H, W).

    Raises:
        ValueError: If the file is missing, truncated or not a CAM file, or
            holds a class out of range.
    """
    try:
        classes, maps = load_arrays(path, ('classes', 'maps'), kind=KIND, remedy=REMEDY)
    except FileNotFoundError as error:
        raise InputError(
            f'no CAM file {path}; make it with tools/gen_pseudo.py'
        ) from error
    problem = find_problem(classes, maps)
    if problem:
        raise InputError(f'{path} is not a CAM file: {problem}; {REMEDY}')
    if num_classes is not None and classes.size and classes[-1] >= num_classes:
        raise InputError(
            f'{path} holds foreground class {classes[-1]}, but there are only '
            f'{num_classes}; use the class list it was made with'
        )
    return classes.astype(np.int64), maps.astype(np.float32)


def find_problem(classes: NDArray[np.generic], maps: NDArray[np.generic]) -> str:
    """Say what makes these arrays no CAMs; an empty string if nothing does."""
    problem = find_problem_of_classes(classes)
    if problem:
        return problem
    if maps.ndim != 3 or maps.dtype.kind != 'f':
        return f'maps must be floats (n, H, W), not {maps.dtype} {maps.shape}'
    if len(maps) != len(classes) or 0 in maps.shape[1:]:
        return f'{len(classes)} classes do not fit maps of shape {maps.shape}'
    if not is_within_range(maps):
        return f'maps must be finite and within +-{LARGEST:g}'
    return ''


def find_problem_of_classes(classes: NDArray[np.generic]) -> str:
    """Say what makes an array no classes of an image."""
    if classes.ndim != 1 or classes.dtype.kind not in 'iu':
        return f'classes must be integers (n,), not {classes.dtype} {classes.shape}'
    if len(classes) > MOST_CLASSES:
        return f'{len(classes)} classes, more than the {MOST_CLASSES} of a mask'
    if classes.size and (classes[0] < 0 or (np.diff(classes.astype(int)) <= 0).any()):
        return f'classes must ascend from 0 or more, not {brief(classes.tolist())}'
    return ''


def is_within_range(values: NDArray[np.generic]) -> bool:
    """Say whether all values are numbers that float16 holds."""
    return not values.size or bool(values.min() >= -LARGEST and values.max() <= LARGEST)


def too_large(*arrays: NDArray[np.generic]) -> str:
    """Say whether arrays, kept as float16, are more than a reader takes."""
    size = 2 * sum(array.size for array in arrays)
    if size <= MOST_ARRAY_BYTES:
        return ''
    return (
        f'{size:,} bytes are more than the {MOST_ARRAY_BYTES:,} that are read again; '
        'make the image smaller'
    )
