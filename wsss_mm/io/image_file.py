"""Image files, read as RGB, and pictures to look at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from wsss_mm.io.mask_file import UNREADABLE, save_png
from wsss_mm.utils.errors import InputError


def read_rgb(path: str | Path) -> NDArray[np.uint8]:
    """Read an image as RGB, turned the way its EXIF orientation says.

    Grey, palette and CMYK images are converted, transparency is dropped.

    Returns:
        The image, uint8, shape (H, W, 3).

    Raises:
        ValueError: If the file is missing, truncated, no image, or has more
            than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            depth = bits_per_channel(Path(path), image)
            array = np.array(upright_rgb(image) if depth == 8 else (), np.uint8)
    except FileNotFoundError as error:
        raise InputError(
            f'no image {path}; add it or remove it from the list'
        ) from error
    except UNREADABLE as error:
        raise InputError(
            f'cannot read {path}: {error}; it is truncated or no image, get it '
            'again or remove it from the list'
        ) from error
    if depth != 8:
        raise InputError(f'{path} has {depth} bits a channel; convert it to 8 bits')
    return array


def upright_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB, turned the way its EXIF orientation says."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode == 'P':
        # A palette may carry transparency, which RGB alone cannot take.
        upright = upright.convert('RGBA')
    return upright.convert('RGB')


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
