"""Hooks."""

from .pseudo_label_hook import PseudoLabelHook
from .reconstruction_ramp_hook import ReconstructionRampHook

__all__ = ['PseudoLabelHook', 'ReconstructionRampHook']
