"""Hooks."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .cam_panel_hook import CAMPanelHook
from .dataset_meta_hook import DatasetMetaHook
from .finite_training_hook import FiniteTrainingHook
from .pseudo_label_hook import PseudoLabelHook
from .reconstruction_ramp_hook import ReconstructionRampHook
from .weights_fit_hook import WeightsFitHook

__all__ = [
    'AtomicCheckpointHook',
    'CAMPanelHook',
    'DatasetMetaHook',
    'FiniteTrainingHook',
    'PseudoLabelHook',
    'ReconstructionRampHook',
    'WeightsFitHook',
]
