"""Data wrappers that turn a batch into named views."""

from wsss_mm.models.structures import View

from .views import EquivariantViews, PuzzleViews

__all__ = ['EquivariantViews', 'PuzzleViews', 'View']
