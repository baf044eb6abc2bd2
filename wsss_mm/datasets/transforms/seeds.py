"""Load the seed scores of an image and keep what is confident in them."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from wsss_mm.datasets.transforms.loading import describe
from wsss_mm.functional import confident_seed
from wsss_mm.io.score_file import load_scores
from wsss_mm.registry import TRANSFORMS
from wsss_mm.utils.errors import InputError


@TRANSFORMS.register_module()
class LoadSeedScores(BaseTransform):
    """Load the scores at `seed_scores_path`, which AffinityNet trains on.

    Sets `seed_scores` (float32, (H, W, 2 (n + 1)): with the strong background, then
    with the weak one) and lists it in `seg_fields`, so that flipping follows: put it
    right behind the loading of the image. The image must not be resized before
    `SeedFromScores`.

    Raises:
        ValueError: If there are no scores, or the file is missing, unreadable, or of
            another size than the image.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the scores to the results."""
        path = results.get('seed_scores_path')
        if path is None:
            raise InputError(
                f'{results["img_path"]} has no seed scores to train on; set '
                'data_prefix.seed_scores_path to the folder that '
                'tools/gen_pseudo.py --seed-scores wrote'
            )
        tags = results.get('image_labels')
        scores = load_scores(path, num_classes=None if tags is None else len(tags))
        size = (scores.low.shape[1], scores.low.shape[2])
        if size != tuple(results['ori_shape']):
            raise InputError(
                f'the seed scores {path} have {describe(size)} pixels, their image '
                f'{results["img_path"]} {describe(results["ori_shape"])} (EXIF '
                'orientation applied); make them again from this image'
            )
        both = np.concatenate([scores.low, scores.high])
        results['seed_scores'] = np.ascontiguousarray(both.transpose(1, 2, 0))
        results['seg_fields'] = [*results.get('seg_fields', []), 'seed_scores']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class SeedFromScores(BaseTransform):
    """Replace `seed_scores` by the labels of the cells that are sure of theirs.

    Sets `gt_affinity_seed` (uint8, (h, w)): 0 for background, k for the k-th class of
    the image, 255 for unsure and padded cells, and puts it in the place of
    `seed_scores` in `seg_fields`. Crop before, unless a cell is a pixel.

    Args:
        cell: Side of a cell in pixels, the stride of the affinity head.

    Raises:
        ValueError: If the cell is less than 1.
    """

    def __init__(self, cell: int = 8) -> None:
        if cell < 1:
            raise InputError(f'cell={cell}; give a side of at least 1 pixel')
        self.cell = cell

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turn the scores of the results into a seed."""
        scores = results.pop('seed_scores').transpose(2, 0, 1)
        half = len(scores) // 2
        results['gt_affinity_seed'] = confident_seed(
            scores[:half], scores[half:], cell=self.cell
        )
        others = [key for key in results['seg_fields'] if key != 'seed_scores']
        results['seg_fields'] = [*others, 'gt_affinity_seed']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(cell={self.cell})'


@TRANSFORMS.register_module()
class ThinSeed(BaseTransform):
    """Keep the label at the middle of every cell of `gt_affinity_seed`.

    Sets it to uint8 (h, w).

    Args:
        cell: Side of a cell in pixels, the stride of the edge head.

    Raises:
        ValueError: If the cell is less than 1.
    """

    def __init__(self, cell: int = 4) -> None:
        if cell < 1:
            raise InputError(f'cell={cell}; give a side of at least 1 pixel')
        self.cell = cell

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Thin the seed of the results."""
        middle, step = self.cell // 2, self.cell
        seed = results['gt_affinity_seed'][middle::step, middle::step]
        results['gt_affinity_seed'] = np.ascontiguousarray(seed)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(cell={self.cell})'
