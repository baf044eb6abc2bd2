"""Hooks."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .pseudo_label_hook import PseudoLabelHook
from .reconstruction_ramp_hook import ReconstructionRampHook

__all__ = ['AtomicCheckpointHook', 'PseudoLabelHook', 'ReconstructionRampHook']
