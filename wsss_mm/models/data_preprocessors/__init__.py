"""Data wrappers that turn a batch into named views."""

from .views import EquivariantViews, View

__all__ = ['EquivariantViews', 'View']
