"""Load images, bring them to RGB, and load masks to train on or to evaluate with."""

import os
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose, LoadImageFromFile
from numpy.typing import NDArray

from wsss_mm.io.image_file import check_image, read_rgb
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.wording import first_line
from wsss_mm.registry import TRANSFORMS
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


@TRANSFORMS.register_module()
class BGRToRGB(BaseTransform):
    """Turn a loaded image into RGB: the step behind MMSegmentation's loader.

    `LoadImageFromFile` gives BGR, and so are the arrays that MMSegmentation's own
    tools take, which put another loader in its place. With
    `imdecode_backend='pillow'` files are decoded as by `read_rgb`: the EXIF
    orientation is applied, so masks must fit the image as it is shown.

    Raises:
        ValueError: If the image is not uint8 (H, W, 3), or its file has more than 8
            bits a channel, which the loader has cut off.

    Note:
        MMCV paints the transparent places of a grey image with transparency in one
        colour, where `read_rgb` shows what is stored there.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Reverse the channels of the image of the results."""
        image, path = results['img'], results.get('img_path')
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(
                f'an image must be BGR, uint8 (H, W, 3), not {image.dtype} '
                f'{image.shape}; read it with cv2.imread or mmcv.imread'
            )
        if path is not None and os.path.isfile(path):
            check_image(path)
        results['img'] = np.ascontiguousarray(image[..., ::-1])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadRGBImage(BaseTransform):
    """Refuse the loader of configs that are older than `BGRToRGB`.

    MMSegmentation's own inference did not know it and took BGR arrays for RGB.

    Raises:
        ValueError: Always; the message gives the steps that take its place.
    """

    def __init__(self) -> None:
        raise InputError(
            "LoadRGBImage is gone; replace it by dict(type='LoadImageFromFile', "
            "imdecode_backend='pillow') and dict(type='BGRToRGB'), which give the same "
            'pixels'
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Leave the results alone; nothing builds this step."""
        return results


@TRANSFORMS.register_module()
class LoadEvaluationMask(BaseTransform):
    """Load the mask at `seg_map_path`, if the dataset has masks.

    Sets `gt_seg_map` (uint8, (H, W)) at the original size, for evaluation only:
    put it behind resizing and flipping, which it must not follow.

    Raises:
        ValueError: If the mask is unreadable, of another size than the image or
            holds a class out of range.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the mask to the results; without a mask change nothing."""
        if results.get('seg_map_path') is not None:
            results['gt_seg_map'] = read_mask_of(results)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadTrainingMask(BaseTransform):
    """Load the mask at `seg_map_path`, a pseudo mask or a true one, to train on.

    Sets `gt_seg_map` (uint8, (H, W)) and lists it in `seg_fields`, so that
    resizing and flipping follow: put it right behind `BGRToRGB`.

    Raises:
        ValueError: If there is no mask, or it is unreadable, of another size
            than the image or holds a class out of range.

    Note:
        MMSegmentation's `LoadAnnotations` does the same without the checks.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the mask to the results."""
        if results.get('seg_map_path') is None:
            raise InputError(
                f'{results["img_path"]} has no mask to train on; set '
                'data_prefix.seg_map_path to the folder of pseudo masks'
            )
        results['gt_seg_map'] = read_mask_of(results)
        results['seg_fields'] = [*results.get('seg_fields', []), 'gt_seg_map']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def read_mask_of(results: dict[str, Any]) -> NDArray[np.uint8]:
    """Read and check the mask of an image, shape (H, W), and map its labels."""
    path = results['seg_map_path']
    mask = load_mask(path, num_classes=results.get('mask_classes'))
    if mask.shape != tuple(results['ori_shape']):
        raise InputError(
            f'the mask {path} has {describe(mask.shape)} pixels, its image '
            f'{results["img_path"]} {describe(results["ori_shape"])} (EXIF '
            'orientation applied); make the mask the size of the image'
        )
    return map_labels(mask, results.get('label_map'))


def describe(shape: tuple[int, int]) -> str:
    """Write a shape (H, W) as width x height."""
    return f'{shape[1]}x{shape[0]}'


def map_labels(
    mask: NDArray[np.uint8], label_map: dict[int, int] | None
) -> NDArray[np.uint8]:
    """Replace the labels of a mask (H, W); labels not in the map stay."""
    lookup = np.arange(256, dtype=np.uint8)
    for old, new in (label_map or {}).items():
        lookup[old] = new
    return lookup[mask]
