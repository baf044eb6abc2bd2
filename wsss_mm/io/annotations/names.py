"""What masks are called as annotations: images, and labels for class indices."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsss_mm.functional.outline import paint
from wsss_mm.io.image_id import IMAGE_SUFFIXES
from wsss_mm.io.limits import MOST_PIXELS
from wsss_mm.io.mask_file import IGNORE
from wsss_mm.utils.errors import InputError

Mask = npt.NDArray[np.uint8]
# As labelme and its converters call them.
BACKGROUND = '_background_'
IGNORED = '__ignore__'


@dataclass(frozen=True)
class AnnotatedMask:
    """The mask that a person left of an image.

    Attributes:
        name: Path of the image without extension, under which results are kept.
        mask: Class indices, 255 where they are to be ignored, uint8 (H, W).
    """

    name: str
    mask: Mask


def label_of(value: int, class_names: Sequence[str]) -> str:
    """Name the class of a mask's value."""
    if value == IGNORE:
        return IGNORED
    return class_names[value] if value else BACKGROUND


def value_of(label: str, class_names: Sequence[str], *, where: object) -> int:
    """Find the value of a label.

    Raises:
        InputError: If it is not a class.
    """
    if label in (BACKGROUND, class_names[0]):
        return 0
    if label == IGNORED:
        return IGNORE
    if label in class_names:
        return list(class_names).index(label)
    near = difflib.get_close_matches(label, class_names, n=1)
    hint = f'did you mean {near[0]!r}?' if near else 'correct it'
    raise InputError(
        f'{where}: the label {label!r} is not a class; {hint} (classes: '
        f'{", ".join(class_names[1:])}, and {BACKGROUND} and {IGNORED})'
    )


def blank_mask(height: object, width: object, *, where: object) -> Mask:
    """Make the mask of an image of a stated size, all background.

    Raises:
        InputError: If no image has that size.
    """
    try:
        size = int(str(height)), int(str(width))
    except ValueError:
        size = (0, 0)
    if min(size) < 1 or size[0] * size[1] > MOST_PIXELS:
        raise InputError(
            f'{where}: no image is {height} pixels high and {width} wide; write its '
            'height and width'
        )
    return np.zeros(size, np.uint8)


def draw_polygon(mask: Mask, corners: object, value: int, *, where: object) -> None:
    """Fill a polygon of a mask with a value, in place.

    Raises:
        InputError: If it is not a polygon.
    """
    try:
        paint(mask, np.asarray(corners, np.float64).reshape(-1, 2), value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f'{where}: an outline that cannot be drawn ({error}); a polygon has three '
            'or more corners x, y'
        ) from error


def without_extension(name: str) -> str:
    """Take off the extension of an image."""
    root, suffix = os.path.splitext(name)
    return root if suffix.lower() in IMAGE_SUFFIXES else name
