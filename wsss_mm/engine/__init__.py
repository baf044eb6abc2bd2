"""Hooks and schedules of training."""

from .hooks import *  # noqa: F403
from .safe_loading import load_safely
from .schedulers import ReferencePolyLR
from .wheel_weights import register_wheels

__all__ = ['ReferencePolyLR']

register_wheels()
load_safely()
