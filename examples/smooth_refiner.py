"""A refiner: smooth the scores, so that masks lose their specks."""

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from wsss_mm.refinement import Seed
from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError


def smooth(scores: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Smooth every map with a Gaussian; constant maps stay what they are.

    Args:
        scores: Shape (n, H, W).
        sigma: Standard deviation, in pixels.
    """
    return np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in scores])


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class SmoothRefiner:
    """Smooth the scores of background and classes.

    Attributes:
        sigma: Standard deviation of the Gaussian, in pixels.

    Raises:
        InputError: If sigma is not positive.
    """

    where: ClassVar[str] = 'pool'  # plain numpy: may run in worker processes
    sigma: float

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise InputError(f'sigma must be positive, got {self.sigma}')

    def __call__(self, seed: Seed) -> Seed:
        """Return a seed with smooth scores; this one stays as it is."""
        return replace(seed, scores=smooth(seed.scores, self.sigma))
