"""Weakly-supervised semantic segmentation on MMSegmentation.

The names of `wsss_mm.apis` and `InputError` can be imported from here. They are loaded
when they are first asked for, so that `wsss_mm.functional` needs torch and numpy alone.
"""

__version__ = '0.1.0'

__all__ = [
    'CAMInferencer',
    'CAMResult',
    'GeneratedCAMs',
    'InputError',
    'MaskExport',
    'Project',
    'SegmentationInferencer',
    'SegmentationResult',
    'WrittenFiles',
    '__version__',
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


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    rooms = {'InputError': 'wsss_mm.utils.errors'}
    return getattr(import_module(rooms.get(name, 'wsss_mm.apis')), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted([*globals(), *__all__])
