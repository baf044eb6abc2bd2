"""Run a pipeline on an image of anybody: its file is checked, and named if it fails."""

from typing import Any

import numpy as np
from mmcv.transforms import Compose, LoadImageFromFile

from wsss_mm.io.image_file import check_image, read_rgb
from wsss_mm.io.wording import first_line
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER


def run_pipeline(pipeline: Compose, results: dict[str, Any]) -> Any:
    """Run a pipeline that begins with MMSegmentation's loader.

    Args:
        pipeline: For files, or for arrays, which nothing is read for.
        results: What it works on, with ``img_path`` or ``img``.

    Raises:
        InputError: If the image's file is missing, truncated, no image or too large.
    """
    for number, step in enumerate(pipeline.transforms):
        from_file = isinstance(step, LoadImageFromFile) and 'img' not in results
        loads = number == 0 and from_file
        results = load(step, results) if loads else step(results)
        if results is None:
            return None
    return results


def load(loader: LoadImageFromFile, results: dict[str, Any]) -> Any:
    """Load an image whose header is in order.

    The loader turns an image as its EXIF data say by Pillow, which fails where it
    cannot write the other entries of these data again. `read_rgb` needs none of them.
    """
    path = results['img_path']
    check_image(path)
    try:
        return loader(results)
    except InputError:
        raise
    except Exception as error:
        # The loader does not name the file; nor does it fail where this does not.
        image = read_rgb(path)
        if loader.imdecode_backend != 'pillow' or loader.color_type != 'color':
            raise
        LOGGER.debug('%s: read without its EXIF data: %s', path, first_line(error))
    image = np.ascontiguousarray(image[..., ::-1])
    results['img'] = image.astype(np.float32) if loader.to_float32 else image
    results['img_shape'] = results['ori_shape'] = image.shape[:2]
    return results
