"""Saliency maps: 8-bit grey images, white for what stands out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_mm.io.mask_file import UNREADABLE
from wsss_mm.utils.errors import InputError


def load_saliency(path: str | Path) -> NDArray[np.float32]:
    """Read a saliency map, shape (H, W), in [0, 1].

    Args:
        path: An 8-bit grey image.

    Raises:
        ValueError: If the file is missing, truncated or of another kind.
    """
    try:
        with Image.open(path) as image:
            mode, grey = image.mode, np.array(image)
    except FileNotFoundError as error:
        raise InputError(
            f'no saliency map {path}; give the folder with one for every CAM file'
        ) from error
    except UNREADABLE as error:
        raise InputError(
            f'cannot read saliency map {path}: {error}; it is truncated or no '
            'image, make it again'
        ) from error
    if mode != 'L':
        raise InputError(
            f'{path} is an image of mode {mode}; save saliency as 8-bit grey, 255 '
            'for what stands out'
        )
    return np.asarray(grey / np.float32(255), dtype=np.float32)
