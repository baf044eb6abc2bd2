"""Images whose sides are not whole numbers of a transformer's patches.

MMSegmentation's and MMPretrain's vision transformers pad such an image with zeros, at
the right and at the bottom, before they cut it: their cells reach beyond the image.
What takes them for cells of the image alone moves everything to the left and upwards.
"""

from math import prod

import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import AdaptivePadding
from mmseg.models.utils.embed import AdaptivePadding as SegAdaptivePadding
from torch import Tensor, nn

from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer
from wsss_mm.utils.errors import InputError


def patch_sides(backbone: nn.Module) -> tuple[int, int]:
    """Give the height and width whose multiples a backbone cuts without padding.

    That is (1, 1) for a backbone that does not pad to whole patches, and for one that
    brings images to whole patches itself.
    """
    if isinstance(backbone, CLIPVisionTransformer):
        return 1, 1
    strides = [
        module.stride
        for module in backbone.modules()
        if isinstance(module, (AdaptivePadding, SegAdaptivePadding))
        and module.padding == 'corner'
    ]
    return prod(height for height, _ in strides), prod(width for _, width in strides)


def pad_to_patches(images: Tensor, sides: tuple[int, int]) -> Tensor:
    """Pad images (B, 3, H, W) with zeros to whole patches, as the backbone would.

    Args:
        images: Normalised.
        sides: Height and width of a patch.
    """
    height, width = images.shape[-2:]
    down, right = -height % sides[0], -width % sides[1]
    return F.pad(images, (0, right, 0, down)) if down or right else images


def check_patches(view: str, image: Tensor, sides: tuple[int, int]) -> None:
    """Refuse a view to train on whose cells would not lie on it.

    Raises:
        InputError: If a side is not a whole number of patches.
    """
    height, width = image.shape[-2:]
    if height % sides[0] or width % sides[1]:
        raise InputError(
            f"the view '{view}' has {height} x {width} pixels, which the backbone does "
            f'not cut into whole patches of {sides[0]} x {sides[1]}; choose crop_size, '
            'and the scale or pieces of the views, to fit'
        )
