"""Shift hue, saturation and value by whole steps."""

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from wsss_mm.datasets.transforms.randomness import integer
from wsss_mm.registry import TRANSFORMS
from wsss_mm.utils.errors import InputError

HUE_STEPS = 180


def shift_hsv(
    image: NDArray[np.uint8], shift: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Add to the HSV values of an image; hue wraps, the others are clipped.

    Args:
        image: RGB image, uint8, shape (H, W, 3).
        shift: Steps of hue (two degrees each), saturation and value (1/255 each).

    Raises:
        ValueError: If the image is not uint8.
    """
    if image.dtype != np.uint8:
        raise InputError(
            f'the image is {image.dtype}, HSV shifts need uint8; '
            'put NormalizeFloat behind them'
        )
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int64) + shift
    hsv[..., 0] %= HUE_STEPS
    shifted = cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    return np.asarray(shifted, dtype=np.uint8)


@TRANSFORMS.register_module()
class RandomHSVShift(BaseTransform):
    """Shift hue, saturation and value, each by its own random whole number.

    MMSegmentation's ``PhotoMetricDistortion`` multiplies by factors instead; this
    is the jitter of SEAM's released retraining code.

    Args:
        hue: Greatest shift of the hue either way, in steps of two degrees.
        saturation: The same for the saturation, of 255 steps.
        value: The same for the value, of 255 steps.

    Raises:
        ValueError: If a shift is negative.
    """

    def __init__(self, *, hue: int = 10, saturation: int = 10, value: int = 10) -> None:
        self.limits = (hue, saturation, value)
        if min(self.limits) < 0:
            raise InputError(
                f'hue={hue}, saturation={saturation}, value={value}; '
                'give whole numbers from 0'
            )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Shift the colours of the image of the results, uint8 RGB."""
        hue, saturation, value = (integer(-limit, limit) for limit in self.limits)
        results['img'] = shift_hsv(results['img'], (hue, saturation, value))
        return results

    def __repr__(self) -> str:
        hue, saturation, value = self.limits
        return (
            f'{type(self).__name__}(hue={hue}, saturation={saturation}, value={value})'
        )
