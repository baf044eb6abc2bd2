"""The mmseg registries that wsss_mm registers its components into."""

from mmseg.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    PARAM_SCHEDULERS,
    TASK_UTILS,
    TRANSFORMS,
)

__all__ = [
    'DATASETS',
    'HOOKS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'TASK_UTILS',
    'TRANSFORMS',
]
