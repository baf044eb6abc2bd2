"""Refinement: from CAMs to the scores that become pseudo masks.

A `Seed` holds what is known about one image; a refiner takes a seed and returns a
better one. Refiners are registered in TASK_UTILS and chained in config; see
configs/_base_/refinement.py. A new one is a class with `where` and `__call__`.
"""

from .chain import build_chain, refine
from .ignore_unsure import IgnoreUnsure
from .par_refiner import PARRefiner
from .pool import refine_all, run_pool
from .refiners import (
    DenseCRFRefiner,
    EdgeWalkRefiner,
    LabelCRFRefiner,
    PAMRRefiner,
    PowerBackground,
    RandomWalkRefiner,
    ThresholdBackground,
)
from .seed import AffinityMap, Seed, SeedFiles, seed_mask
from .training_scores import ConfidentTrainingScores, TrainingScores

__all__ = [
    'AffinityMap',
    'ConfidentTrainingScores',
    'DenseCRFRefiner',
    'EdgeWalkRefiner',
    'IgnoreUnsure',
    'LabelCRFRefiner',
    'PAMRRefiner',
    'PARRefiner',
    'PowerBackground',
    'RandomWalkRefiner',
    'Seed',
    'SeedFiles',
    'ThresholdBackground',
    'TrainingScores',
    'build_chain',
    'refine',
    'refine_all',
    'run_pool',
    'seed_mask',
]
