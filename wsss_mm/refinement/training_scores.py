"""The scores that an AffinityNet learns from, as a step of the pool."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsss_mm.functional.background import seed_scores
from wsss_mm.registry import TASK_UTILS

from .refiners import lookup
from .seed import Seed


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class TrainingScores:
    """Make the `seed_scores` of a seed; for `run_pool`.

    Attributes:
        low_alpha: Power of the amplified background.
        high_alpha: Power of the damped one.
        parameters: Name of CRF parameters.
    """

    low_alpha: float
    high_alpha: float
    parameters: str = 'soft'

    def __call__(
        self, seed: Seed
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the classes, the scores of the low and those of the high alpha."""
        low, high = seed_scores(
            seed.image,
            seed.scores[1:],
            lookup(self.parameters),
            low_alpha=self.low_alpha,
            high_alpha=self.high_alpha,
        )
        return seed.classes, low, high
