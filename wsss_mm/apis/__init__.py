"""The verbs: train, make CAMs, refine, evaluate, run a method, look at an image.

Functions and classes for Python programs; the command `wsss` calls the same. They log
(logger ``wsss_mm``) and print nothing, and raise `InputError` for what the caller can
correct.
"""

from wsss_mm.apis.evaluate import evaluate_masks
from wsss_mm.apis.export import MaskExport, import_masks, read_annotations
from wsss_mm.apis.generate import GeneratedCAMs, generate_cams
from wsss_mm.apis.inferencer import CAMInferencer, SegmentationInferencer
from wsss_mm.apis.masks import WrittenFiles, refine_masks, write_seed_scores
from wsss_mm.apis.new import Project, new_project
from wsss_mm.apis.pipeline import run_method
from wsss_mm.apis.results import CAMResult, SegmentationResult
from wsss_mm.apis.train import evaluate_checkpoint, train

__all__ = [
    'CAMInferencer',
    'CAMResult',
    'GeneratedCAMs',
    'MaskExport',
    'Project',
    'SegmentationInferencer',
    'SegmentationResult',
    'WrittenFiles',
    'evaluate_checkpoint',
    'evaluate_masks',
    'generate_cams',
    'import_masks',
    'new_project',
    'read_annotations',
    'refine_masks',
    'run_method',
    'train',
    'write_seed_scores',
]
