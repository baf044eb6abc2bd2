"""Hooks and schedules of training."""

from .hooks import *  # noqa: F403
from .safe_loading import load_safely
from .schedulers import ReferencePolyLR

__all__ = ['ReferencePolyLR']

load_safely()
