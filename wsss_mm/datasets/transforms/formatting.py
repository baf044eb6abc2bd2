"""Pack images with their tags for the model."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from wsss_mm.registry import TRANSFORMS

META_KEYS = (
    'img_path',
    'img_id',
    'seg_map_path',
    'ori_shape',
    'img_shape',
    'pad_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'reduce_zero_label',
)


@TRANSFORMS.register_module()
class PackWSSSInputs(PackSegInputs):
    """Pack as `PackSegInputs`, with the image's tags and its id in the list.

    The data sample gets `image_labels`, float32 (C,), if the dataset has tags, and
    `gt_affinity_seed`, int64 (1, h, w), if the pipeline made a seed.

    Args:
        meta_keys: Results to keep as meta information.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Give `inputs` (3, H, W) and `data_samples`."""
        packed: dict[str, Any] = super().transform(results)
        if 'image_labels' in results:
            labels = torch.as_tensor(results['image_labels'], dtype=torch.float32)
            packed['data_samples'].image_labels = labels.clone()
        if 'gt_affinity_seed' in results:
            seed = torch.as_tensor(results['gt_affinity_seed'], dtype=torch.int64)
            packed['data_samples'].gt_affinity_seed = PixelData(data=seed[None])
        return packed
