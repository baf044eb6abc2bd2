"""The refiners: each takes a seed and returns a better one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss_mm.functional.background import power_background, threshold_background
from wsss_mm.functional.dense_crf import (
    CRFParameters,
    crf_parameters,
    dense_crf,
    label_unary,
    soft_unary,
)
from wsss_mm.functional.pamr import DILATIONS, pamr
from wsss_mm.functional.random_walk import random_walk
from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError

from .seed import AffinityMap, Seed

EPSILON = 1e-5


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
        alpha: The power.
    """

    where: ClassVar[str] = 'pool'
    alpha: float

    def __call__(self, seed: Seed) -> Seed:
        """Replace the background of a seed."""
        scores = power_background(seed.scores[1:], self.alpha)
        return with_background_scores(seed, scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class ThresholdBackground:
    """Score the background with a constant.

    Attributes:
        threshold: The constant.
    """

    where: ClassVar[str] = 'pool'
    threshold: float

    def __call__(self, seed: Seed) -> Seed:
        """Replace the background of a seed."""
        scores = threshold_background(seed.scores[1:], self.threshold)
        return with_background_scores(seed, scores)


@dataclass(frozen=True)
class Cells:
    """Scores of an image on the cells of its affinity map, and back.

    Scores are padded with zeros to whole cells and averaged over each cell; what has
    walked is resized bilinearly (align_corners=False), as in PSA and SEAM.

    Attributes:
        affinity: Of the image.
        size: (H, W) of the image.
    """

    affinity: AffinityMap
    size: tuple[int, int]

    @classmethod
    def of(cls, seed: Seed) -> 'Cells':
        """Take the affinity of a seed.

        Raises:
            ValueError: If the seed has no affinity or one of another size.
        """
        if seed.affinity is None:
            raise InputError(
                'a random walk needs an affinity map: train an AffinityNet and name '
                'its config and checkpoint'
            )
        stride = seed.affinity.stride
        height, width = seed.scores.shape[1:]
        cells = (-(-height // stride), -(-width // stride))
        found = tuple(seed.affinity.weights.shape[-2:])
        if found != cells:
            raise InputError(
                f'the affinity map has {found} cells, but an image of '
                f'{height}x{width} pixels has {cells} at stride {stride}'
            )
        return cls(seed.affinity, (height, width))

    def pool(self, scores: npt.NDArray[np.float32]) -> Tensor:
        """Average scores (n, H, W) over the cells: (n, h, w)."""
        stride, (height, width) = self.affinity.stride, self.size
        missing = (0, -width % stride, 0, -height % stride)
        maps = torch.from_numpy(scores).to(self.affinity.weights.device)
        return F.avg_pool2d(F.pad(maps, missing), stride)

    def walk(self, cells: Tensor, *, beta: float, steps: int) -> Tensor:
        """Walk, and resize to pixels: (n, h, w) to (n, H, W)."""
        walked = random_walk(
            cells,
            self.affinity.weights.float(),
            self.affinity.offsets,
            beta=beta,
            steps=steps,
        )
        pixels = F.interpolate(
            walked[None], scale_factor=self.affinity.stride, mode='bilinear'
        )
        return pixels[0, :, : self.size[0], : self.size[1]].contiguous()


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class RandomWalkRefiner:
    """Spread the scores along the affinity of the seed with `random_walk`.

    Attributes:
        beta: Exponent of the affinities; 8 in PSA and SEAM.
        steps: Exponent of the transition matrix; 256 in PSA, 64 in SEAM.
    """

    where: ClassVar[str] = 'main'
    needs_affinity: ClassVar[bool] = True
    beta: float
    steps: int

    def __call__(self, seed: Seed) -> Seed:
        """Walk on the device of the affinity.

        Raises:
            ValueError: If the seed has no affinity or one of another size.
        """
        cells = Cells.of(seed)
        walked = cells.walk(cells.pool(seed.scores), beta=self.beta, steps=self.steps)
        return replace(seed, scores=walked.cpu().numpy())


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class EdgeWalkRefiner:
    """Spread the classes' scores between edges, as IRN and Puzzle-CAM do.

    What lies on an edge does not spread, and the result is divided by the strongest
    score of the image. The background stays as it is: give it a threshold afterwards.

    Attributes:
        beta: Exponent of the affinities.
        steps: Exponent of the transition matrix.

    Note:
        The released codes start from maps at stride 4; here those of the image's size
        are averaged over the cells.
    """

    where: ClassVar[str] = 'main'
    needs_affinity: ClassVar[bool] = True
    beta: float = 10
    steps: int = 256

    def __call__(self, seed: Seed) -> Seed:
        """Walk on the device of the affinity.

        Raises:
            ValueError: If the seed has no affinity, one of another size or one
                without edges.
        """
        cells = Cells.of(seed)
        edge = cells.affinity.edge
        if edge is None:
            raise InputError(
                'this random walk needs edges: train a network with an EdgeHead, or '
                'use RandomWalkRefiner'
            )
        if not len(seed.classes):
            return seed
        inside = cells.pool(seed.scores[1:]) * (1 - edge)
        walked = cells.walk(inside, beta=self.beta, steps=self.steps)
        walked = walked / walked.max().clamp(min=EPSILON)
        scores = np.concatenate([seed.scores[:1], walked.cpu().numpy()])
        return replace(seed, scores=scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class DenseCRFRefiner:
    """Align the scores with the image by `dense_crf`.

    Attributes:
        parameters: A name of the released codes, such as ``soft1``, or own ones.
    """

    where: ClassVar[str] = 'pool'
    parameters: str | CRFParameters

    def __post_init__(self) -> None:
        lookup(self.parameters)

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by probabilities."""
        unary = soft_unary(seed.scores)
        scores = dense_crf(seed.image, unary, lookup(self.parameters))
        return replace(seed, scores=scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class LabelCRFRefiner:
    """Align the strongest label of every pixel with the image by `dense_crf`.

    Attributes:
        parameters: ``label`` or ``label1`` of IRN and Puzzle-CAM, or own ones.
        probability: That a label is right.
    """

    where: ClassVar[str] = 'pool'
    parameters: str | CRFParameters
    probability: float = 0.7

    def __post_init__(self) -> None:
        lookup(self.parameters)
        if not 0 < self.probability < 1:
            raise InputError(f'probability must be in (0, 1), got {self.probability}')

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by probabilities."""
        unary = label_unary(
            seed.scores.argmax(axis=0), len(seed.scores), probability=self.probability
        )
        scores = dense_crf(seed.image, unary, lookup(self.parameters))
        return replace(seed, scores=scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class PAMRRefiner:
    """Align the scores with the image by `pamr`, which needs no compiler.

    Attributes:
        dilations: Distances of the neighbours.
        iterations: How often they are averaged.
        device: Where to compute.
    """

    where: ClassVar[str] = 'main'
    dilations: Sequence[int] = DILATIONS
    iterations: int = 10
    device: str = 'cpu'

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


def lookup(parameters: str | CRFParameters) -> CRFParameters:
    """Give the parameters of a name.

    Args:
        parameters: A name, or parameters, which stay what they are.
    """
    return crf_parameters(parameters) if isinstance(parameters, str) else parameters
