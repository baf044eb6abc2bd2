"""Segmentors and their test-time augmentation."""

from .cam_encoder_decoder import CAMEncoderDecoder, CAMTTAModel, MaxCAMTTAModel
from .logits_tta import SegLogitsTTAModel

__all__ = ['CAMEncoderDecoder', 'CAMTTAModel', 'MaxCAMTTAModel', 'SegLogitsTTAModel']
