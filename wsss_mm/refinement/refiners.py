"""The refiners: each takes a seed and returns a better one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from wsss_mm.functional.background import power_background, threshold_background
from wsss_mm.functional.dense_crf import (
    CRFParameters,
    dense_crf,
    label_unary,
    soft_unary,
)
from wsss_mm.functional.pamr import DILATIONS, pamr
from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError

from .checks import check_number, check_whole, crf_settings
from .seed import Seed


def with_background_scores(seed: Seed, scores: npt.NDArray[np.float32]) -> Seed:
    """Replace the scores of the background.

    Args:
        seed: Any.
        scores: Of shape (H, W).
    """
    return replace(seed, scores=np.concatenate([scores[None], seed.scores[1:]]))


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class PowerBackground:
    """Score the background with `power_background`.

    Attributes:
        alpha: The power, positive.

    Raises:
        InputError: If alpha is not positive.
    """

    where: ClassVar[str] = 'pool'
    alpha: float

    def __post_init__(self) -> None:
        check_number('alpha', self.alpha, above=0)

    def __call__(self, seed: Seed) -> Seed:
        """Replace the background of a seed."""
        scores = power_background(seed.scores[1:], self.alpha)
        return with_background_scores(seed, scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class ThresholdBackground:
    """Score the background with a constant.

    Attributes:
        threshold: The constant, not negative.

    Raises:
        InputError: If the threshold is negative.
    """

    where: ClassVar[str] = 'pool'
    threshold: float

    def __post_init__(self) -> None:
        check_number('threshold', self.threshold, least=0)

    def __call__(self, seed: Seed) -> Seed:
        """Replace the background of a seed."""
        scores = threshold_background(seed.scores[1:], self.threshold)
        return with_background_scores(seed, scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class DenseCRFRefiner:
    """Align the scores with the image by `dense_crf`.

    Attributes:
        parameters: A name of the released codes, such as ``soft1``, or own ones.

    Raises:
        InputError: If there are no such parameters.

    Note:
        After a random walk SEAM's released code aligns the padded image, with all
        labels of the dataset; :class:`WalkCRFRefiner` does that.
    """

    where: ClassVar[str] = 'pool'
    parameters: str | CRFParameters

    def __post_init__(self) -> None:
        crf_settings(self.parameters)

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by probabilities."""
        unary = soft_unary(seed.scores)
        scores = dense_crf(seed.image, unary, crf_settings(self.parameters))
        return replace(seed, scores=scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class LabelCRFRefiner:
    """Align the strongest label of every pixel with the image by `dense_crf`.

    Attributes:
        parameters: ``label`` or ``label1`` of IRN and Puzzle-CAM, or own ones.
        probability: That a label is right.

    Raises:
        InputError: If there are no such parameters, or the probability is not in
            (0, 1).
    """

    where: ClassVar[str] = 'pool'
    parameters: str | CRFParameters
    probability: float = 0.7

    def __post_init__(self) -> None:
        crf_settings(self.parameters)
        check_number('probability', self.probability, above=0, below=1)

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by probabilities."""
        unary = label_unary(
            seed.scores.argmax(axis=0), len(seed.scores), probability=self.probability
        )
        scores = dense_crf(seed.image, unary, crf_settings(self.parameters))
        return replace(seed, scores=scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class PAMRRefiner:
    """Align the scores with the image by `pamr`, which needs no compiler.

    Attributes:
        dilations: Distances of the neighbours.
        iterations: How often they are averaged.
        device: Where to compute.

    Raises:
        InputError: If a number is out of range or there is no such kind of device.
    """

    where: ClassVar[str] = 'main'
    dilations: Sequence[int] = DILATIONS
    iterations: int = 10
    device: str = 'cpu'

    def __post_init__(self) -> None:
        check_whole('iterations', self.iterations)
        if isinstance(self.dilations, str) or not len(self.dilations):
            raise InputError(f'dilations must be distances, got {self.dilations!r}')
        for dilation in self.dilations:
            check_whole('dilations', dilation, least=1)
        try:
            torch.device(self.device)
        except RuntimeError as error:
            raise InputError(f'device: {error}') from error

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by their means over like neighbours."""
        image = torch.from_numpy(seed.image.transpose(2, 0, 1) / np.float32(255))
        scores = torch.from_numpy(seed.scores)
        with torch.no_grad():
            result = pamr(
                image[None].to(self.device),
                scores[None].to(self.device),
                dilations=self.dilations,
                iterations=self.iterations,
            )
        return replace(seed, scores=result[0].cpu().numpy())
