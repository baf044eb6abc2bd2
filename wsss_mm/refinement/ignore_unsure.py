"""A refiner that leaves pixels out of the mask."""

from dataclasses import dataclass, replace
from typing import ClassVar

from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError

from .seed import Seed


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class IgnoreUnsure:
    """Leave pixels out of the mask whose strongest score is low.

    Last in a chain that makes probabilities, such as one that ends with a dense CRF:
    they become 255, which no segmenter learns from.

    Attributes:
        confidence: Least score of a pixel that counts, in (0, 1); 0.95 in CLIP-ES.

    Raises:
        InputError: If the confidence is not in (0, 1).
    """

    where: ClassVar[str] = 'pool'
    leaves_pixels_out: ClassVar[bool] = True
    confidence: float

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise InputError(f'confidence is {self.confidence}; give one in (0, 1)')

    def __call__(self, seed: Seed) -> Seed:
        """Mark the pixels of a seed; its scores stay."""
        return replace(seed, unsure=seed.scores.max(axis=0) < self.confidence)
