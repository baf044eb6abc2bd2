"""Translate parameter names between released checkpoints and our models.

A layout names a family of released files, see `checkpoint_layouts`. Nothing here
needs an MM package.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from wsss_mm.io.checkpoint_layouts import (
    DROPPED,
    DUPLICATES,
    LAYOUTS,
    TABLES,
    Table,
)
from wsss_mm.io.checkpoint_shapes import COUNTER, Shape

State = dict[str, Tensor]


def layout_shapes(layout: str) -> dict[str, Shape]:
    """Return every tensor name of a released layout with its shape.

    Args:
        layout: One of ``LAYOUTS``.

    Returns:
        Shapes by name in the files' order; None stands for the number of classes.
        Counters (``num_batches_tracked``) are included, though files written
        before torch 0.4.1 lack them.

    Raises:
        ValueError: If the layout is unknown.

    Examples:
        >>> layout_shapes('resnet38_seam')['f9.weight']
        (192, 195, 1, 1)
    """
    return {theirs: shape for theirs, (_, shape) in _table(layout).items()}


def to_ours(state_dict: Mapping[str, Tensor], layout: str) -> State:
    """Rename the tensors of a released checkpoint for our models.

    Args:
        state_dict: Tensors by released name. A leading ``module.`` is dropped if
            every name has it. Names may be missing: a part translates as well.
        layout: One of ``LAYOUTS``.

    Returns:
        The same tensors by our name, without those that the released file holds
        twice or that our models do not use.

    Raises:
        ValueError: If a name is not one of the layout's, or a tensor that is there
            twice is not the same both times.

    Examples:
        >>> to_ours({'fc8.weight': torch.zeros(21, 4096, 1, 1)}, 'resnet38_seam').keys()
        dict_keys(['decode_head.classifier.weight'])
    """
    names = {theirs: ours for theirs, (ours, _) in _table(layout).items()}
    state = _without_module(state_dict)
    check_duplicates(state, layout)
    kept = {key: tensor for key, tensor in state.items() if not is_spare(key, layout)}
    return _rename(kept, names, f'the layout {layout!r}')


def to_reference(state_dict: Mapping[str, Tensor], layout: str) -> State:
    """Rename the tensors of one of our models as the released code does.

    Args:
        state_dict: Tensors by our name.
        layout: One of ``LAYOUTS``.

    Returns:
        The same tensors by released name.

    Raises:
        ValueError: If a name has no counterpart in the layout.

    Examples:
        >>> to_reference({'neck.f9.weight': torch.zeros(1)}, 'resnet38_seam').keys()
        dict_keys(['f9.weight'])
    """
    names = {ours: theirs for theirs, (ours, _) in _table(layout).items()}
    return _rename(state_dict, names, f'our models of the layout {layout!r}')


def duplicate_of(key: str, layout: str) -> str | None:
    """Name the tensor of which a released name is a second copy, if it is one.

    Examples:
        >>> duplicate_of('stage2.0.0.bn1.bias', 'puzzle_resnet50')
        'model.layer1.0.bn1.bias'
    """
    for copy, original in DUPLICATES.get(layout, {}).items():
        name = original + key.removeprefix(copy)
        if key.startswith(copy) and name in TABLES[layout]:
            return name
    return None


def reason_to_drop(key: str, layout: str) -> str | None:
    """Tell why our models do not use a released tensor; None if they do."""
    for prefix, reason in DROPPED.get(layout, {}).items():
        if key.startswith(prefix):
            return reason
    return None


def is_spare(key: str, layout: str) -> bool:
    """Tell whether a released name is a second copy or of no use to our models."""
    return (
        duplicate_of(key, layout) is not None or reason_to_drop(key, layout) is not None
    )


def check_duplicates(state_dict: Mapping[str, Tensor], layout: str) -> None:
    """Compare the tensors that a released file holds twice.

    Raises:
        ValueError: If two copies differ, so that it is not clear which one is meant.
    """
    for key, tensor in state_dict.items():
        original = duplicate_of(key, layout)
        if original is None or original not in state_dict:
            continue
        other = state_dict[original]
        if tensor.dtype != other.dtype or not torch.equal(tensor, other):
            raise ValueError(
                f'{key} and {original} should be one tensor of the layout {layout!r} '
                'stored twice, but they differ; the file was changed after training'
            )


def detect_layout(keys: Iterable[str]) -> str:
    """Tell from its tensor names which layout a checkpoint has.

    Raises:
        ValueError: If the names fit no layout, telling what each one misses.

    Examples:
        >>> detect_layout(k for k in layout_shapes('resnet38_psa_cls'))
        'resnet38_psa_cls'
    """
    found = {key for key in _strip_module(set(keys)) if not key.endswith(COUNTER)}
    misfits = []
    for layout in LAYOUTS:
        wanted = {key for key in layout_shapes(layout) if not key.endswith(COUNTER)}
        own = {key for key in found if not is_spare(key, layout)}
        if own == wanted:
            return layout
        misfits.append(
            f'{layout}: missing {_listed(wanted - own)}, '
            f'unknown {_listed(own - wanted)}'
        )
    raise ValueError('the tensor names fit no known layout. ' + '; '.join(misfits))


def load_reference(path: str | Path, layout: str | None = None) -> State:
    """Read a released checkpoint and rename its tensors for our models.

    Args:
        path: A file written by ``torch.save`` holding a plain state dict.
        layout: One of ``LAYOUTS``; None detects it.

    Returns:
        Tensors on the CPU by our name.

    Raises:
        ValueError: If the file is no state dict, or a tensor is unknown, missing
            or of another shape than the layout's.
    """
    state = _without_module(_read_state_dict(path))
    try:
        layout = detect_layout(state) if layout is None else layout
        _check_shapes(state, layout)
        return to_ours(state, layout)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def _table(layout: str) -> Table:
    if layout not in TABLES:
        raise ValueError(f'unknown layout {layout!r}; known are {", ".join(LAYOUTS)}')
    return TABLES[layout]


def _rename(
    state_dict: Mapping[str, Tensor], names: Mapping[str, str], where: str
) -> State:
    unknown = [key for key in state_dict if key not in names]
    if unknown:
        raise ValueError(f'tensors unknown to {where}: {_listed(unknown)}')
    return {names[key]: tensor for key, tensor in state_dict.items()}


def _strip_module(keys: set[str]) -> set[str]:
    if all(key.startswith('module.') for key in keys):
        return {key.removeprefix('module.') for key in keys}
    return keys


def _without_module(state_dict: Mapping[str, Tensor]) -> State:
    if all(key.startswith('module.') for key in state_dict):
        return {key.removeprefix('module.'): v for key, v in state_dict.items()}
    return dict(state_dict)


def _read_state_dict(path: str | Path) -> State:
    if not Path(path).is_file():
        raise ValueError(f'{path}: no such file')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises many kinds for a foreign file
        raise ValueError(
            f'{path}: not a checkpoint of tensors that torch can read safely; '
            'expected a state dict written by torch.save'
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in state.items()
    ):
        raise ValueError(
            f'{path}: expected a plain dict of tensors, as the released code saves it'
        )
    return dict(state)


def _check_shapes(state: State, layout: str) -> None:
    shapes = layout_shapes(layout)
    missing = [key for key in shapes if key not in state and not key.endswith(COUNTER)]
    if missing:
        raise ValueError(
            f'tensors of the layout {layout!r} missing: {_listed(missing)}'
        )
    for key, tensor in state.items():
        wanted = shapes.get(key)
        if wanted is not None and not _fits(tuple(tensor.shape), wanted):
            shown = tuple('classes' if n is None else n for n in wanted)
            raise ValueError(f'{key} has shape {tuple(tensor.shape)}, expected {shown}')


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        n is None or n == size for size, n in zip(shape, wanted)
    )


def _listed(keys: Iterable[str], most: int = 8) -> str:
    ordered = sorted(keys)
    if not ordered:
        return 'nothing'
    shown = ', '.join(ordered[:most])
    extra = len(ordered) - most
    return f'{shown} and {extra} more' if extra > 0 else shown
