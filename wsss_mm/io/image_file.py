"""Image files, read as RGB, and pictures to look at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from wsss_mm.io.mask_file import save_png
from wsss_mm.io.open_image import open_image
from wsss_mm.utils.errors import InputError

MISSING = 'add it or remove it from the list'
REMEDY = 'it is truncated or no image, get it again or remove it from the list'
# What the EXIF orientation asks for, as `PIL.ImageOps.exif_transpose` has it.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_rgb(path: str | Path) -> NDArray[np.uint8]:
    """Read an image as RGB, turned the way its EXIF orientation says.

    Grey, palette and CMYK images are converted, transparency is dropped.

    Returns:
        The image, uint8, shape (H, W, 3).

    Raises:
        ValueError: If the file is missing, truncated, no image, too large, or has more
            than 8 bits a channel.
    """
    with open_image(path, kind='image', missing=MISSING, remedy=REMEDY) as image:
        refuse_deep(path, image)
        array = np.array(upright_rgb(path, image), np.uint8)
        if array.ndim != 3 or 0 in array.shape:
            raise InputError(f'cannot read image {path}: no pixels; {REMEDY}')
    return array


def check_image(path: str | Path) -> None:
    """Refuse an image by its header, before a loader decodes it.

    Raises:
        ValueError: If the file is missing, no image, too large, or has more than 8
            bits a channel.
    """
    with open_image(path, kind='image', missing=MISSING, remedy=REMEDY) as image:
        refuse_deep(path, image)


def upright_rgb(path: str | Path, image: Image.Image) -> Image.Image:
    """Convert an image to RGB, turned the way its EXIF orientation says."""
    turn = read_turn(path, image)
    upright = image if turn is None else image.transpose(turn)
    if upright.mode == 'P':
        # A palette may carry transparency, which RGB alone cannot take.
        upright = upright.convert('RGBA')
    return upright.convert('RGB')


def read_turn(path: str | Path, image: Image.Image) -> Image.Transpose | None:
    """Read how the EXIF orientation turns an image; None where it does not.

    Pillow reads all the entries for it, and writes them when it turns an image; cameras
    leave many that it cannot read or write.
    """
    image.load()  # some formats have their EXIF data behind the pixels
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # of nearly every type; the pixels are as they are
        return None


def refuse_deep(path: str | Path, image: Image.Image) -> None:
    """Refuse an image with more than 8 bits a channel."""
    depth = bits_per_channel(Path(path), image)
    if depth != 8:
        raise InputError(f'{path} has {depth} bits a channel; convert it to 8 bits')


def bits_per_channel(path: Path, image: Image.Image) -> int:
    """Tell 16- and 32-bit images, which Pillow reads but cannot convert well."""
    if image.mode in ('I', 'F'):
        return 32
    if image.mode.startswith('I;16'):
        return 16
    if image.format == 'PNG':
        with path.open('rb') as file:
            # After the signature: length, IHDR, width, height. Pillow opens
            # 16-bit colour as 8-bit RGB without a word.
            return 16 if file.read(25)[24] == 16 else 8
    return 8


def save_picture(path: str | Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture as PNG, whole or not at all.

    Args:
        path: File to write, ending in `.png`.
        picture: RGB values, uint8, shape (H, W, 3).

    Raises:
        InputError: If it cannot be written.
    """
    save_png(path, Image.fromarray(picture))
