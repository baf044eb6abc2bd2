"""The refiner of AFA, WeCLIP and their successors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from wsss_mm.functional.pamr import DILATIONS
from wsss_mm.functional.par import POSITION_WEIGHT, par
from wsss_mm.registry import TASK_UTILS

from .seed import Seed


@TASK_UTILS.register_module()
@dataclass(frozen=True, kw_only=True)
class PARRefiner:
    """Align the scores with the image by `par`, which needs no compiler.

    Attributes:
        dilations: Distances of the neighbours.
        iterations: How often they are summed: 10 in AFA, 20 in WeCLIP.
        device: Where to compute.

    Note:
        The growth by 1.01 with each iteration is divided out, so that scores stay
        between the extremes of the old ones; no mask changes by it.
    """

    where: ClassVar[str] = 'main'
    dilations: Sequence[int] = DILATIONS
    iterations: int = 10
    device: str = 'cpu'

    def __call__(self, seed: Seed) -> Seed:
        """Replace the scores by their sums over near neighbours of like colour."""
        image = torch.from_numpy(seed.image.transpose(2, 0, 1)).to(self.device)
        scores = torch.from_numpy(seed.scores).to(self.device)
        with torch.no_grad():
            result = par(
                image[None].float() / 255,
                scores[None],
                dilations=self.dilations,
                iterations=self.iterations,
            )
        result = result[0] / (1 + POSITION_WEIGHT) ** self.iterations
        return replace(seed, scores=result.cpu().numpy())
