"""Segmentors and their test-time augmentation."""

from .cam_encoder_decoder import CAMEncoderDecoder, CAMTTAModel

__all__ = ['CAMEncoderDecoder', 'CAMTTAModel']
