"""Resize with Pillow and crop as the CAM references do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from PIL import Image

from wsss_mm.datasets.transforms.randomness import integer, uniform
from wsss_mm.registry import TRANSFORMS
from wsss_mm.utils.errors import InputError


def resize_bicubic(
    image: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Resize with Pillow's antialiased bicubic filter.

    Args:
        image: RGB image, uint8, shape (H, W, 3).
        size: New width and height.

    Raises:
        ValueError: If the image is not uint8; Pillow has no float RGB.
    """
    if image.dtype != np.uint8:
        raise InputError(
            f'the image is {image.dtype}, Pillow resizes uint8; '
            'put NormalizeFloat behind the resizing'
        )
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    return np.array(resized)


def scaled_size(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Scale (H, W) to a width and height, each rounded half to even, at least 1.

    Example:
        >>> scaled_size((5, 8), 0.5)
        (4, 2)
    """
    height, width = shape
    return max(round(width * scale), 1), max(round(height * scale), 1)


@TRANSFORMS.register_module()
class PILResize(BaseTransform):
    """Resize the image by a factor, the way CAM inference does.

    Sets `img`, `img_shape` and `scale_factor` (width, height). Masks are left
    alone: CAMs are compared with them at the original size.

    Args:
        scale_factor: Factor on both sides; each is rounded half to even.

    Raises:
        ValueError: If the factor is not positive.
    """

    def __init__(self, scale_factor: float) -> None:
        if not scale_factor > 0:
            raise InputError(f'scale_factor={scale_factor}; give a number above 0')
        self.scale_factor = scale_factor

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the image of the results."""
        return set_size(results, scaled_size(results['img_shape'], self.scale_factor))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale_factor={self.scale_factor})'


@TRANSFORMS.register_module()
class PILResizeToMultiple(BaseTransform):
    """Enlarge the image to sides that are multiples of a patch, as CLIP-ES does.

    Sets `img`, `img_shape` and `scale_factor` (width, height); the aspect may change a
    little. Masks are left alone.

    Args:
        divisor: What both sides become multiples of, in pixels.

    Raises:
        InputError: If the divisor is not positive.
    """

    def __init__(self, divisor: int) -> None:
        if not (isinstance(divisor, int) and divisor > 0):
            raise InputError(f'divisor={divisor}; give a number of pixels above 0')
        self.divisor = divisor

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the image of the results."""
        height, width = (side + -side % self.divisor for side in results['img_shape'])
        return set_size(results, (width, height))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(divisor={self.divisor})'


@TRANSFORMS.register_module()
class RandomResizeLong(BaseTransform):
    """Resize the image so that its long side is drawn from a range.

    Sets `img`, `img_shape` and `scale_factor`. The labels listed in `seg_fields`, a
    mask to train on or a `gt_affinity_seed`, follow without interpolation.

    Args:
        low: Least long side in pixels.
        high: Greatest long side in pixels, included.
        by_factor: Multiply the sides by the factor new / old long side, as IRN and
            Puzzle-CAM do. Else multiply the short side first and divide then, as
            AffinityNet and SEAM do. A few sizes differ by one pixel, where floating
            point falls on the other side of a half.

    Raises:
        ValueError: If the range is empty.
    """

    def __init__(self, low: int, high: int, *, by_factor: bool = False) -> None:
        if not 1 <= low <= high:
            raise InputError(f'low={low}, high={high}; give 1 <= low <= high')
        self.low = low
        self.high = high
        self.by_factor = by_factor

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw the long side and resize the image of the results."""
        target = integer(self.low, self.high)
        size = long_side_size(results['img_shape'], target, by_factor=self.by_factor)
        return set_size(results, size)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(low={self.low}, high={self.high}, '
            f'by_factor={self.by_factor})'
        )


def long_side_size(
    shape: tuple[int, int], target: int, *, by_factor: bool
) -> tuple[int, int]:
    """Scale (H, W) to a width and height whose longer one is the target.

    Example:
        >>> long_side_size((375, 500), 502, by_factor=False)
        (502, 376)
    """
    height, width = shape
    if by_factor:
        return scaled_size(shape, target / max(height, width))
    if width < height:
        return max(round(width * target / height), 1), target
    return target, max(round(height * target / width), 1)


def set_size(results: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Resize the image of the results, and its labels, to a width and height."""
    height, width = results['img_shape']
    results['img'] = resize_bicubic(results['img'], size)
    for key in results.get('seg_fields', ()):
        if key == 'seed_scores':
            raise InputError('scores are not resized; put SeedFromScores before it')
        labels = Image.fromarray(results[key])
        results[key] = np.array(labels.resize(size, Image.Resampling.NEAREST))
    results['img_shape'] = (size[1], size[0])
    results['scale_factor'] = (size[0] / width, size[1] / height)
    return results


@TRANSFORMS.register_module()
class RandomRescale(BaseTransform):
    """Resize the image by a random factor.

    Sets `img`, `img_shape` and `scale_factor`. The labels listed in `seg_fields` follow
    without interpolation.

    Args:
        low: Least factor on both sides; each side is rounded half to even.
        high: Greatest factor.
        interpolation: Filter of mmcv's ``imresize``.
        backend: ``'cv2'``, or ``'pillow'`` whose filters widen as they shrink.

    Raises:
        ValueError: If the range is empty.

    Reference:
        SEAM's released retraining code; with Pillow's bilinear filter WeCLIP's, which
        cuts the sides off instead of rounding them.

    Note:
        MMSegmentation's `RandomResize` draws the factor of a given box, into which the
        image is fitted whatever its size.
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        interpolation: str = 'bicubic',
        backend: str = 'cv2',
    ) -> None:
        if not 0 < low <= high:
            raise InputError(f'low={low}, high={high}; give 0 < low <= high')
        self.low = low
        self.high = high
        self.interpolation = interpolation
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw the factor and resize the image of the results."""
        size = scaled_size(results['img'].shape[:2], uniform(self.low, self.high))
        resize = TRANSFORMS.build(
            dict(
                type='Resize',
                scale=size,
                keep_ratio=False,
                interpolation=self.interpolation,
                backend=self.backend,
            )
        )
        resized: dict[str, Any] = resize(results)
        return resized

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(low={self.low}, high={self.high}, '
            f'interpolation={self.interpolation!r}, backend={self.backend!r})'
        )


@TRANSFORMS.register_module()
class RandomCropPad(BaseTransform):
    """Cut a random window; along a side that is too short, pad at random.

    A side longer than the crop is cut at a random offset. A shorter one lies
    whole at a random offset of the padded window. Both sides are independent.

    Args:
        crop_size: Height and width, or one number for both.
        img_pad: Value around the image, or one for each channel; 0 behind
            NormalizeFloat is the mean colour.
        seg_pad: Value around `gt_seg_map` or `gt_affinity_seed`, if there is one.
            Around `seed_scores` it is 0.

    Raises:
        ValueError: If the crop size is not positive.
    """

    def __init__(
        self,
        crop_size: int | tuple[int, int],
        *,
        img_pad: float | Sequence[float] = 0,
        seg_pad: int = 255,
    ) -> None:
        sides = (crop_size,) * 2 if isinstance(crop_size, int) else tuple(crop_size)
        if len(sides) != 2 or min(sides) < 1:
            raise InputError(
                f'crop_size={crop_size}; give a height and a width of at least 1'
            )
        self.crop_size = (sides[0], sides[1])
        self.img_pad = img_pad
        self.seg_pad = seg_pad

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop image, mask and seed scores of the results at the same place."""
        shape = results['img'].shape[:2]
        offsets = [
            integer(min(side - crop, 0), max(side - crop, 0))
            for side, crop in zip(shape, self.crop_size)
        ]
        results['img'] = cut_window(
            results['img'], offsets, self.crop_size, self.img_pad
        )
        pads = dict.fromkeys(('gt_seg_map', 'gt_affinity_seed'), self.seg_pad)
        for key, pad in {**pads, 'seed_scores': 0}.items():
            if results.get(key) is not None:
                results[key] = cut_window(results[key], offsets, self.crop_size, pad)
        results['img_shape'] = self.crop_size
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, '
            f'img_pad={self.img_pad}, seg_pad={self.seg_pad})'
        )


def cut_window(
    array: NDArray[Any],
    offsets: list[int],
    size: tuple[int, int],
    pad: float | Sequence[float],
) -> NDArray[Any]:
    """Cut a window out of an array (H, W, ...), padding what lies outside.

    Args:
        array: What to cut from.
        offsets: Top and left of the window; negative ones lie outside.
        size: Height and width of the window.
        pad: Value outside the array, or one for each channel.
    """
    window = np.full((*size, *array.shape[2:]), pad, dtype=array.dtype)
    (top, left), (height, width) = offsets, size
    source = array[max(top, 0) : top + height, max(left, 0) : left + width]
    y, x = max(-top, 0), max(-left, 0)
    window[y : y + source.shape[0], x : x + source.shape[1]] = source
    return window
