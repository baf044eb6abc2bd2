"""Transforms for training from tags and for multi-scale CAMs."""

from wsss_mm.datasets.transforms.colour import ColorJitterPIL, NormalizeFloat
from wsss_mm.datasets.transforms.formatting import PackWSSSInputs
from wsss_mm.datasets.transforms.geometry import (
    PILResize,
    PILResizeToMultiple,
    RandomCropPad,
    RandomRescale,
    RandomResizeLong,
)
from wsss_mm.datasets.transforms.hsv import RandomHSVShift
from wsss_mm.datasets.transforms.loading import (
    BGRToRGB,
    LoadEvaluationMask,
    LoadTrainingMask,
)
from wsss_mm.datasets.transforms.seeds import LoadSeedScores, SeedFromScores, ThinSeed

__all__ = [
    'BGRToRGB',
    'ColorJitterPIL',
    'LoadEvaluationMask',
    'LoadSeedScores',
    'LoadTrainingMask',
    'NormalizeFloat',
    'PILResize',
    'PILResizeToMultiple',
    'PackWSSSInputs',
    'RandomCropPad',
    'RandomHSVShift',
    'RandomRescale',
    'RandomResizeLong',
    'SeedFromScores',
    'ThinSeed',
]
