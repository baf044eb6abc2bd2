"""What the values of a folder of masks say of it."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wsss_mm.io.mask_file import IGNORE

# Of all pixels. PASCAL VOC leaves 5 % to its borders.
COMMON = 0.01
SHOWN = 5


def count_values(mask: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Count the pixels of each value, shape (256,)."""
    return np.bincount(mask.reshape(-1), minlength=IGNORE + 1)


def classes_drawn_as_ignored(
    values: npt.NDArray[Any],
    classes: Sequence[str],
    *,
    expected: Collection[str] | None = None,
) -> tuple[str, bool]:
    """Suspect masks of 0 and 255, where 255 was to mean a class.

    Args:
        values: Pixels of each value over all masks, shape (256,).
        classes: Names of the values, background first.
        expected: Those that some image is tagged with; all of them if None.

    Returns:
        What is suspicious, nothing if nothing is; and whether no class at all is drawn.
    """
    absent = [
        name
        for value, name in enumerate(classes)
        if value and not values[value] and (expected is None or name in expected)
    ]
    drawn = values[1 : len(classes)].any()
    share = values[IGNORE] / max(values.sum(), 1)
    if not absent or share < COMMON:
        return '', False
    listed = ', '.join(absent[:SHOWN]) + ', ...' * (len(absent) > SHOWN)
    text = (
        f'{len(absent)} of {len(classes) - 1} classes are in no mask ({listed}), while '
        f'{share:.0%} of the pixels are {IGNORE}, which does not count: if {IGNORE} '
        'was to be a class, save its index instead'
    )
    return text, not drawn
