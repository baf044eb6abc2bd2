"""Saliency maps: 8-bit grey images, white for what stands out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_mm.io.open_image import open_image
from wsss_mm.utils.errors import InputError


def load_saliency(path: str | Path) -> NDArray[np.float32]:
    """Read a saliency map, shape (H, W), in [0, 1].

    Args:
        path: An 8-bit grey image.

    Raises:
        ValueError: If the file is missing, truncated, too large or of another kind.
    """
    with open_image(
        path,
        kind='saliency map',
        missing='give the folder with one for every CAM file',
        remedy='it is truncated or no image, make it again',
    ) as image:
        if image.mode != 'L':
            raise InputError(
                f'{path} is an image of mode {image.mode}; save saliency as 8-bit '
                'grey, 255 for what stands out'
            )
        grey = np.array(image)
    return np.asarray(grey / np.float32(255), dtype=np.float32)
