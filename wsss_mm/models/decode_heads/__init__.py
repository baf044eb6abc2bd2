"""Heads: features to CAMs or segmentation, and the losses."""

from .cam_head import CAMHead
from .deeplabv1_head import DeepLabV1Head
from .deeplabv2_head import DeepLabV2Head
from .erasing_head import AddedErasingHead, ErasingHead
from .seam_head import SEAMHead

__all__ = [
    'AddedErasingHead',
    'CAMHead',
    'DeepLabV1Head',
    'DeepLabV2Head',
    'ErasingHead',
    'SEAMHead',
]
