"""Mask files: class indices as palette PNG, the way PASCAL VOC stores them."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.open_image import open_image
from wsss_mm.utils.errors import InputError

IGNORE = 255
# Noted in every picture that is written, so that no other file is written over.
MADE_BY = 'wsss_mm'
MISSING = 'give the folder that holds the masks of this list'
DAMAGED = 'it is truncated or no PNG, get or make it again'
REMEDY = 'save the class indices as an 8-bit palette or grey PNG'


def save_mask(path: str | Path, mask: NDArray[np.uint8], palette: ArrayLike) -> None:
    """Write class indices as a palette PNG.

    Args:
        path: File to write, ending in `.png`.
        mask: Class indices, uint8, shape (H, W); 255 is ignored.
        palette: RGB colours 0..255 of the first indices, shape (n, 3), n <= 256;
            indices beyond it are white.

    Raises:
        ValueError: If the arrays break these rules or the file cannot be written.
    """
    path = Path(path)
    colours = np.asarray(palette)
    if path.suffix.lower() != '.png':
        raise InputError(f'{path}: a mask file must end in .png')
    if mask.dtype != np.uint8 or mask.ndim != 2 or mask.size == 0:
        raise InputError(
            f'cannot save {path}: the mask must be uint8 (H, W), '
            f'not {mask.dtype} {mask.shape}'
        )
    if colours.ndim != 2 or colours.shape[1] != 3 or len(colours) > 256:
        raise InputError(
            f'cannot save {path}: the palette must be (n <= 256, 3), '
            f'not {colours.shape}'
        )
    if colours.dtype.kind not in 'iu' or colours.min() < 0 or colours.max() > 255:
        raise InputError(f'cannot save {path}: palette colours must be 0..255')
    full = np.full((256, 3), 255, np.uint8)
    full[: len(colours)] = colours
    image = Image.fromarray(mask)
    image.putpalette(full.tobytes())
    save_png(path, image)


def save_png(path: str | Path, image: Image.Image) -> None:
    """Write a PNG, whole or not at all, that notes these tools as its maker.

    Raises:
        ValueError: If the file cannot be written.
    """
    note = PngInfo()
    note.add_text('Software', MADE_BY)
    with atomic_write(path) as temporary:
        image.save(temporary, format='PNG', pnginfo=note)


def load_mask(path: str | Path, *, num_classes: int | None = None) -> NDArray[np.uint8]:
    """Read the class indices of a palette or grey PNG, shape (H, W).

    Args:
        path: A PNG of mode P or L.
        num_classes: Classes K with the background; all values must stay below
            it or be 255.

    Raises:
        ValueError: If the file is missing, truncated, too large, of another kind, or
            holds a class out of range.
    """
    with open_image(path, kind='mask', missing=MISSING, remedy=DAMAGED) as image:
        problem = find_problem(Path(path), image)
        mask = np.array(() if problem else image, dtype=np.uint8)
    if problem:
        raise InputError(f'{path} is not a mask: {problem}; {REMEDY}')
    if num_classes is not None:
        wrong = np.unique(mask[(mask >= num_classes) & (mask != IGNORE)])
        if wrong.size:
            raise InputError(
                f'{path} holds the values {wrong.tolist()}, but there are '
                f'{num_classes} classes with the background; use the class list '
                f'the masks were made with, or {IGNORE} for pixels to ignore'
            )
    return mask


def find_problem(path: Path, image: Image.Image) -> str:
    """Say what makes an image no mask; an empty string if nothing does."""
    if image.format != 'PNG':
        return f'a {image.format} file'
    if image.mode not in ('P', 'L'):
        return f'a PNG of mode {image.mode}'
    with path.open('rb') as file:
        depth = file.read(25)[24]  # after the signature: length, IHDR, width, height
    if image.mode == 'L' and depth != 8:
        # Pillow stretches 2- and 4-bit grey to 0..255 and the indices are lost.
        return f'a grey PNG of {depth} bits'
    return ''
