"""Necks."""

from .base_image_neck import BaseImageNeck
from .pcm import PCMNeck

__all__ = ['BaseImageNeck', 'PCMNeck']
