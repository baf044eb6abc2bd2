"""The scores that an affinity network learns from, as a step of the pool."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsss_mm.functional.background import seed_scores
from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError

from .checks import check_number, crf_settings
from .refiners import LabelCRFRefiner, ThresholdBackground
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

    def __post_init__(self) -> None:
        check_number('low_alpha', self.low_alpha, above=0)
        check_number('high_alpha', self.high_alpha, above=0)
        if self.low_alpha >= self.high_alpha:
            raise InputError(
                f'low_alpha must be below high_alpha, got {self.low_alpha} and '
                f'{self.high_alpha}'
            )
        crf_settings(self.parameters)

    def __call__(
        self, seed: Seed
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the classes, the scores of the low and those of the high alpha."""
        low, high = seed_scores(
            seed.image,
            seed.scores[1:],
            crf_settings(self.parameters),
            low_alpha=self.low_alpha,
            high_alpha=self.high_alpha,
        )
        return seed.classes, low, high


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class ConfidentTrainingScores:
    """Label what dense CRF calls foreground or background at two thresholds.

    The scores are ones and zeros, such that `confident_seed` gives the labels that IRN
    and Puzzle-CAM train their edge branch on.

    Attributes:
        foreground_threshold: What is foreground beside it is so for sure: 0.30 in IRN,
            0.40 in Puzzle-CAM.
        background_threshold: What is background beside it, too, is so for sure: 0.05
            in IRN, 0.10 in Puzzle-CAM.
        parameters: Name of CRF parameters.
    """

    foreground_threshold: float
    background_threshold: float
    parameters: str = 'label'

    def __post_init__(self) -> None:
        if not 0 < self.background_threshold < self.foreground_threshold < 1:
            raise InputError(
                'needs 0 < background_threshold < foreground_threshold < 1, got '
                f'{self.background_threshold} and {self.foreground_threshold}'
            )

    def __call__(
        self, seed: Seed
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the classes, the sure foreground and the sure background."""
        crf = LabelCRFRefiner(parameters=self.parameters)
        few, many = (
            crf(ThresholdBackground(threshold=threshold)(seed)).scores.argmax(axis=0)
            for threshold in (self.foreground_threshold, self.background_threshold)
        )
        labels = np.arange(len(seed.scores))[:, None, None]
        # Foreground of the first mask counts, whatever the second says.
        either = np.where(few > 0, few, many)
        low, high = ((mask == labels).astype(np.float32) for mask in (few, either))
        return seed.classes, low, high
