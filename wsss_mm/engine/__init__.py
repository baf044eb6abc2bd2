"""Hooks and schedules of training."""

from .hooks import *  # noqa: F403
from .schedulers import ReferencePolyLR

__all__ = ['ReferencePolyLR']
