"""Heads: features to CAMs or segmentation, and the losses."""

from .added_erasing_head import AddedErasingHead
from .affinity_head import AffinityHead
from .attention_cam_head import AttentionCAMHead
from .base_affinity_head import BaseAffinityHead
from .base_cam_head import BaseCAMHead
from .cam_head import CAMHead, SqrtCAMHead
from .clip_es_head import CLIPESHead
from .deeplabv1_head import DeepLabV1Head
from .deeplabv2_head import DeepLabV2Head
from .deeplabv3plus_head import DeepLabV3PlusHead
from .edge_head import EdgeHead
from .erasing_head import CubicErasingHead, ErasingHead
from .puzzle_cam_head import AddedPuzzleHead, PuzzleCAMHead
from .seam_head import SEAMHead
from .weclip_head import WeCLIPHead
from .weclip_plus_head import WeCLIPPlusHead

__all__ = [
    'AddedErasingHead',
    'AddedPuzzleHead',
    'AffinityHead',
    'AttentionCAMHead',
    'BaseAffinityHead',
    'BaseCAMHead',
    'CAMHead',
    'CLIPESHead',
    'CubicErasingHead',
    'DeepLabV1Head',
    'DeepLabV2Head',
    'DeepLabV3PlusHead',
    'EdgeHead',
    'ErasingHead',
    'PuzzleCAMHead',
    'SEAMHead',
    'SqrtCAMHead',
    'WeCLIPHead',
    'WeCLIPPlusHead',
]
