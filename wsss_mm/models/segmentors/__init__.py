"""Segmentors and their test-time augmentation."""

from .affinity_net import AffinityNet
from .cam_encoder_decoder import CAMEncoderDecoder
from .cam_tta import CAMTTAModel, MaxCAMTTAModel
from .logits_tta import SegLogitsTTAModel

__all__ = [
    'AffinityNet',
    'CAMEncoderDecoder',
    'CAMTTAModel',
    'MaxCAMTTAModel',
    'SegLogitsTTAModel',
]
