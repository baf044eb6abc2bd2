"""Load images as RGB and masks for evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from PIL import Image, ImageOps

from wsss_mm.io.mask_file import UNREADABLE, load_mask
from wsss_mm.registry import TRANSFORMS
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
