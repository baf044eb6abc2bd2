"""Hooks and schedules of training."""

from wsss_mm.checkpoints.safe_loading import load_safely
from wsss_mm.checkpoints.wheel_weights import register_wheels

from .hooks import *  # noqa: F403
from .schedulers import ReferencePolyLR

__all__ = ['ReferencePolyLR']

register_wheels()
load_safely()
