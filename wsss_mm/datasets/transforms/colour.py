"""Jitter the colours of an image and normalise it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)

from wsss_mm.datasets.transforms.randomness import permutation, uniform
from wsss_mm.registry import TRANSFORMS
from wsss_mm.utils.errors import InputError

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@TRANSFORMS.register_module()
class ColorJitterPIL(BaseTransform):
    """Change brightness, contrast, saturation and hue in a random order.

    The operations are torchvision's on a Pillow image, as in the CAM references.
    torchvision's `ColorJitter` draws from PyTorch's generator; this one draws from
    NumPy's, as every other step does.

    Args:
        brightness: Half-width b of the factor's range [1 - b, 1 + b].
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Greatest turn of the hue either way, as a share of the circle.

    Raises:
        ValueError: If a width is not in [0, 1], or hue not in [0, 0.5].
    """

    def __init__(
        self,
        *,
        brightness: float = 0.3,
        contrast: float = 0.3,
        saturation: float = 0.3,
        hue: float = 0.1,
    ) -> None:
        widths = dict(brightness=brightness, contrast=contrast, saturation=saturation)
        for name, width in widths.items():
            if not 0 <= width <= 1:
                raise InputError(f'{name}={width}; give a number from 0 to 1')
        if not 0 <= hue <= 0.5:
            raise InputError(f'hue={hue}; give a number from 0 to 0.5')
        self.widths = widths
        self.hue = hue

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Jitter the image of the results, uint8 RGB."""
        image = Image.fromarray(results['img'])
        steps = (
            (adjust_brightness, self.widths['brightness']),
            (adjust_contrast, self.widths['contrast']),
            (adjust_saturation, self.widths['saturation']),
        )
        for number in permutation(len(steps) + 1):
            if number < len(steps):
                adjust, width = steps[number]
                image = adjust(image, uniform(1 - width, 1 + width))
            elif self.hue > 0:  # the way to HSV and back is not exact
                image = adjust_hue(image, uniform(-self.hue, self.hue))
        results['img'] = np.array(image)
        return results

    def __repr__(self) -> str:
        widths = ', '.join(f'{name}={width}' for name, width in self.widths.items())
        return f'{type(self).__name__}({widths}, hue={self.hue})'


def normalize_image(
    image: NDArray[Any], mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Subtract the mean and divide by the deviation, in double precision.

    Args:
        image: RGB image, shape (H, W, 3), in [0, 255].
        mean: Mean colour, in the same range.
        std: Deviation of each channel, in the same range.
    """
    scaled = (image.astype(np.float64) - np.asarray(mean)) / np.asarray(std)
    return np.asarray(scaled, dtype=np.float32)


@TRANSFORMS.register_module()
class NormalizeFloat(BaseTransform):
    """Normalise the image in the pipeline.

    What comes later, such as a crop, then pads with 0, the mean colour. The
    data preprocessor must have no mean of its own.

    Args:
        mean: Mean colour in [0, 255], in the channel order of the image.
        std: Deviation of each channel.

    Raises:
        ValueError: If a deviation is not positive.
    """

    def __init__(
        self,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        if min(std) <= 0:
            raise InputError(f'std={tuple(std)}; every deviation must be above 0')
        self.mean = tuple(mean)
        self.std = tuple(std)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Normalise the image of the results to float32."""
        results['img'] = normalize_image(results['img'], self.mean, self.std)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mean={self.mean}, std={self.std})'
