"""Refinement: from CAMs to the scores that become pseudo masks.

A `Seed` holds what is known about one image; a refiner takes a seed and returns a
better one. Refiners are registered in TASK_UTILS and chained in config; see
configs/_base_/refinement.py. A new one is a class with `where` and `__call__`.
"""

from .affinity import Affinity, DenseAffinity, EdgeAffinity, LocalAffinity
from .chain import build_chain, refine, resolve_steps
from .ignore_unsure import IgnoreUnsure
from .par_refiner import PARRefiner
from .refiners import (
    DenseCRFRefiner,
    LabelCRFRefiner,
    PAMRRefiner,
    PowerBackground,
    ThresholdBackground,
)
from .seed import Seed, SeedFiles, seed_mask
from .stream import refine_all, run_pool
from .training_scores import ConfidentTrainingScores, TrainingScores
from .walk import EdgeWalkRefiner, RandomWalkRefiner, WalkCRFRefiner

__all__ = [
    'Affinity',
    'ConfidentTrainingScores',
    'DenseAffinity',
    'DenseCRFRefiner',
    'EdgeAffinity',
    'EdgeWalkRefiner',
    'IgnoreUnsure',
    'LabelCRFRefiner',
    'LocalAffinity',
    'PAMRRefiner',
    'PARRefiner',
    'PowerBackground',
    'RandomWalkRefiner',
    'Seed',
    'SeedFiles',
    'ThresholdBackground',
    'TrainingScores',
    'WalkCRFRefiner',
    'build_chain',
    'refine',
    'refine_all',
    'resolve_steps',
    'run_pool',
    'seed_mask',
]
