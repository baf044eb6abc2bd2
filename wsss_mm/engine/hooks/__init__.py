"""Hooks."""

from .affinity_switch_hook import AffinitySwitchHook
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .batch_norm_hook import BatchNormHook
from .cam_panel_hook import CAMPanelHook
from .channels_last_hook import ChannelsLastHook
from .dataset_meta_hook import DatasetMetaHook
from .finite_training_hook import FiniteTrainingHook
from .pseudo_label_hook import PseudoLabelHook
from .random_state_hook import RandomStateHook
from .reconstruction_ramp_hook import ReconstructionRampHook
from .weights_fit_hook import WeightsFitHook

__all__ = [
    'AffinitySwitchHook',
    'AtomicCheckpointHook',
    'BatchNormHook',
    'CAMPanelHook',
    'ChannelsLastHook',
    'DatasetMetaHook',
    'FiniteTrainingHook',
    'PseudoLabelHook',
    'RandomStateHook',
    'ReconstructionRampHook',
    'WeightsFitHook',
]
