"""Data wrappers that turn a batch into named views."""

from .views import EquivariantViews, PuzzleViews, View

__all__ = ['EquivariantViews', 'PuzzleViews', 'View']
