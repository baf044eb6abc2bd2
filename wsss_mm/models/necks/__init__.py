"""Necks."""

from .pcm import PCMNeck

__all__ = ['PCMNeck']
