"""Datasets, their tags and their transforms."""

from wsss_mm.datasets.coco import COCOImageLabelDataset
from wsss_mm.datasets.image_label_dataset import (
    ImageLabelDataset,
    SynthVOCDataset,
    VOCImageLabelDataset,
)
from wsss_mm.datasets.transforms import (
    BGRToRGB,
    ColorJitterPIL,
    LoadEvaluationMask,
    LoadSeedScores,
    LoadTrainingMask,
    NormalizeFloat,
    PackWSSSInputs,
    PILResize,
    RandomCropPad,
    RandomHSVShift,
    RandomRescale,
    RandomResizeLong,
    SeedFromScores,
)

__all__ = [
    'BGRToRGB',
    'COCOImageLabelDataset',
    'ColorJitterPIL',
    'ImageLabelDataset',
    'LoadEvaluationMask',
    'LoadSeedScores',
    'LoadTrainingMask',
    'NormalizeFloat',
    'PILResize',
    'PackWSSSInputs',
    'RandomCropPad',
    'RandomHSVShift',
    'RandomRescale',
    'RandomResizeLong',
    'SeedFromScores',
    'SynthVOCDataset',
    'VOCImageLabelDataset',
]
