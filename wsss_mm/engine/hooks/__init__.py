"""Hooks."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .channels_last_hook import ChannelsLastHook
from .dataset_meta_hook import DatasetMetaHook
from .finite_training_hook import FiniteTrainingHook
from .pseudo_label_hook import PseudoLabelHook
from .reconstruction_ramp_hook import ReconstructionRampHook
from .weights_fit_hook import WeightsFitHook

__all__ = [
    'AtomicCheckpointHook',
    'ChannelsLastHook',
    'DatasetMetaHook',
    'FiniteTrainingHook',
    'PseudoLabelHook',
    'ReconstructionRampHook',
    'WeightsFitHook',
]
