"""Segmentors and their test-time augmentation."""

from .affinity_net import AffinityNet
from .cam_encoder_decoder import CAMEncoderDecoder
from .cam_tta import CAMTTAModel, MaxCAMTTAModel
from .clip_pseudo_masks import CLIPPseudoMasks
from .logits_tta import SegLogitsTTAModel
from .weclip import WeCLIP
from .weclip_plus import WeCLIPPlus

__all__ = [
    'AffinityNet',
    'CAMEncoderDecoder',
    'CAMTTAModel',
    'CLIPPseudoMasks',
    'MaxCAMTTAModel',
    'SegLogitsTTAModel',
    'WeCLIP',
    'WeCLIPPlus',
]
