"""Load images as RGB and masks for evaluation."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask
from wsss_mm.registry import TRANSFORMS
from wsss_mm.utils.errors import InputError


@TRANSFORMS.register_module()
class LoadRGBImage(BaseTransform):
    """Load `img_path` as RGB.

    Sets `img` (uint8, (H, W, 3)), `img_shape` and `ori_shape` (H, W).

    Note:
        The stock loader gives BGR; with this one the data preprocessor must not
        swap channels. As there, the EXIF orientation is applied, so masks must
        fit the image as it is shown.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image to the results."""
        image = read_rgb(results['img_path'])
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


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
    resizing and flipping follow: put it right behind `LoadRGBImage`.

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
