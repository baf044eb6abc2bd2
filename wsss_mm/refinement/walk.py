"""The refiners that let scores walk along affinities."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss_mm.functional.dense_crf import CRFParameters, dense_crf, soft_unary
from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError

from .affinity import Affinity, EdgeAffinity
from .checks import check_number, check_whole, crf_settings
from .seed import Seed

EPSILON = 1e-5
# ImageNet's mean as SEAM's code casts it: what padding is after normalisation.
MEAN_COLOUR = (123, 116, 103)


@dataclass(frozen=True)
class Cells:
    """Scores of an image on the cells of its affinity, and back.

    Scores are padded with zeros to whole cells and averaged over each cell; what has
    walked is resized bilinearly (align_corners=False), as in PSA and SEAM.

    Attributes:
        affinity: Of the image.
        size: (H, W) of the image.
    """

    affinity: Affinity
    size: tuple[int, int]

    @classmethod
    def of(cls, seed: Seed) -> 'Cells':
        """Take the affinity of a seed.

        Raises:
            InputError: If the seed has no affinity or one of another size.
        """
        if seed.affinity is None:
            raise InputError(
                'a random walk needs an affinity map: train an AffinityNet and name '
                'its config and checkpoint'
            )
        stride, found = seed.affinity.stride, tuple(seed.affinity.size)
        height, width = seed.scores.shape[1:]
        cells = (-(-height // stride), -(-width // stride))
        if found != cells:
            raise InputError(
                f'the affinity map has {found} cells, but an image of '
                f'{height}x{width} pixels has {cells} at stride {stride}'
            )
        return cls(seed.affinity, (height, width))

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels that are missing to whole cells, below and at the right."""
        stride = self.affinity.stride
        return -self.size[0] % stride, -self.size[1] % stride

    def walk(
        self, scores: npt.NDArray[np.float32], *, beta: float, steps: int
    ) -> Tensor:
        """Let scores (n, H, W) walk; the result (n, H', W') covers whole cells."""
        below, right = self.padding
        maps = torch.from_numpy(scores).to(self.affinity.device)
        cells = F.avg_pool2d(F.pad(maps, (0, right, 0, below)), self.affinity.stride)
        walked = self.affinity.walking(beta=beta, steps=steps).propagate(cells)
        return F.interpolate(
            walked[None], scale_factor=self.affinity.stride, mode='bilinear'
        )[0]

    def cut(self, maps: Tensor) -> Tensor:
        """Cut maps that cover whole cells down to the image, (n, H, W)."""
        return maps[:, : self.size[0], : self.size[1]].contiguous()


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class RandomWalkRefiner:
    """Spread the scores along the affinity of the seed.

    Attributes:
        beta: Exponent of the affinities; 8 in PSA and SEAM.
        steps: Exponent of the transition matrix; 256 in PSA, 64 in SEAM.

    Raises:
        InputError: If a number is out of range.
    """

    where: ClassVar[str] = 'main'
    needs_affinity: ClassVar[bool] = True
    beta: float
    steps: int

    def __post_init__(self) -> None:
        check_number('beta', self.beta, above=0)
        check_whole('steps', self.steps)

    def __call__(self, seed: Seed) -> Seed:
        """Walk on the device of the affinity.

        Raises:
            InputError: If the seed has no affinity or one of another size.
        """
        cells = Cells.of(seed)
        walked = cells.walk(seed.scores, beta=self.beta, steps=self.steps)
        return replace(seed, scores=cells.cut(walked).cpu().numpy())


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class EdgeWalkRefiner:
    """Spread the classes' scores between edges, as IRN and Puzzle-CAM do.

    What lies on an edge does not spread, and the result is divided by the strongest
    score of the image. The background stays as it is: give it a threshold afterwards.

    Attributes:
        beta: Exponent of the affinities.
        steps: Exponent of the transition matrix.

    Raises:
        InputError: If a number is out of range.

    Note:
        The released codes start from maps at stride 4; here those of the image's size
        are averaged over the cells.
    """

    where: ClassVar[str] = 'main'
    needs_affinity: ClassVar[bool] = True
    beta: float = 10
    steps: int = 256

    def __post_init__(self) -> None:
        check_number('beta', self.beta, above=0)
        check_whole('steps', self.steps)

    def __call__(self, seed: Seed) -> Seed:
        """Walk on the device of the affinity.

        Raises:
            InputError: If the seed has no affinity, one of another size or one
                without edges.
        """
        cells = Cells.of(seed)
        if not isinstance(cells.affinity, EdgeAffinity):
            raise InputError(
                'this random walk needs edges: train a network with an EdgeHead, or '
                'use RandomWalkRefiner'
            )
        if not len(seed.classes):
            return seed
        walked = cells.walk(seed.scores[1:], beta=self.beta, steps=self.steps)
        walked = cells.cut(walked)
        walked = walked / walked.max().clamp(min=EPSILON)
        scores = np.concatenate([seed.scores[:1], walked.cpu().numpy()])
        return replace(seed, scores=scores)


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class WalkCRFRefiner:
    """Walk, and align what covers whole cells with the padded image by `dense_crf`.

    This is the `--crf` of SEAM's released code, pixel for pixel: the image is padded
    with the mean colour, absent classes are labels too, and the result is cut in the
    end.

    Attributes:
        beta: Exponent of the affinities.
        steps: Exponent of the transition matrix.
        parameters: A name of the released codes, such as ``soft1``, or own ones.
        num_labels: Classes of the dataset, background included.

    Raises:
        InputError: If a number is out of range or there are no such parameters.

    Note:
        :class:`RandomWalkRefiner` and then :class:`DenseCRFRefiner` leave the padding
        and the absent classes out, which speeds it up, and run in workers.
    """

    where: ClassVar[str] = 'main'
    needs_affinity: ClassVar[bool] = True
    beta: float
    steps: int
    parameters: str | CRFParameters = 'soft1'
    num_labels: int

    def __post_init__(self) -> None:
        check_number('beta', self.beta, above=0)
        check_whole('steps', self.steps)
        check_whole('num_labels', self.num_labels, least=2)
        crf_settings(self.parameters)

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by probabilities of the labels that are present.

        Raises:
            InputError: If the seed has no affinity, one of another size, or classes
                beyond `num_labels`.
        """
        if seed.classes.size and seed.classes[-1] + 1 >= self.num_labels:
            raise InputError(
                f'class {seed.classes[-1]} does not fit num_labels={self.num_labels}, '
                'which counts the background'
            )
        cells = Cells.of(seed)
        walked = cells.walk(seed.scores, beta=self.beta, steps=self.steps)
        scores = np.zeros((self.num_labels, *walked.shape[1:]), np.float32)
        scores[: len(walked)] = walked.cpu().numpy()
        below, right = cells.padding
        image = np.empty((*scores.shape[1:], 3), np.uint8)
        image[:] = MEAN_COLOUR
        image[: image.shape[0] - below, : image.shape[1] - right] = seed.image
        aligned = dense_crf(image, soft_unary(scores), crf_settings(self.parameters))
        aligned = aligned[: len(walked), : cells.size[0], : cells.size[1]]
        return replace(seed, scores=np.ascontiguousarray(aligned))
