"""Hooks."""

from .dataset_meta_hook import DatasetMetaHook
from .pseudo_label_hook import PseudoLabelHook
from .reconstruction_ramp_hook import ReconstructionRampHook

__all__ = ['DatasetMetaHook', 'PseudoLabelHook', 'ReconstructionRampHook']
