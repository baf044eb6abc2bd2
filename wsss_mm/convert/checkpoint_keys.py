"""Translate parameter names between released checkpoints and our models.

A layout names a family of released files, see `checkpoint_layouts`. Nothing here
needs an MM package.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from wsss_mm.convert.backbone_layouts import Table
from wsss_mm.convert.checkpoint_layouts import DROPPED, DUPLICATES, LAYOUTS, TABLES
from wsss_mm.convert.checkpoint_shapes import COUNTER, Shape
from wsss_mm.utils.errors import InputError

State = dict[str, Tensor]

# A forged number must not fill the memory.
MOST_CLASSES = 10_000


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
    state = without_module(state_dict)
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
            raise InputError(
                f'{key} and {original} should be one tensor of the layout {layout!r} '
                'stored twice, but they differ; the file was changed after training'
            )


def detect_layout(
    keys: Iterable[str],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    layouts: Sequence[str] = LAYOUTS,
) -> str:
    """Tell from its tensor names which layout a checkpoint has.

    Args:
        keys: Tensor names; counters may be missing.
        shapes: Their shapes, which decide between layouts of the same names.
        layouts: Those that it may be.

    Raises:
        ValueError: If the names fit no layout, telling what the nearest ones miss.

    Examples:
        >>> detect_layout(k for k in layout_shapes('resnet38_psa_cls'))
        'resnet38_psa_cls'
    """
    found = {key for key in _strip_module(set(keys)) if not key.endswith(COUNTER)}
    misfits = {}
    for layout in layouts:
        wanted = _names(layout)
        unknown = {key for key in found - wanted if not is_spare(key, layout)}
        misfits[layout] = (wanted - found, unknown)
    fitting = [layout for layout, wrong in misfits.items() if not any(wrong)]
    if not fitting:
        _refuse_our_names(found)
        nearest = sorted(
            layouts,
            key=lambda layout: (
                sum(map(len, misfits[layout])) / len(found | _names(layout))
            ),
        )
        raise InputError(
            'the tensor names fit no known layout. Nearest are: '
            + '; '.join(
                f'{layout}: missing {listed(missing)}, unknown {listed(unknown)}'
                for layout in nearest[:2]
                for missing, unknown in [misfits[layout]]
            )
        )
    right = [
        layout
        for layout in fitting
        if all(
            _fits(shape, layout_shapes(layout).get(key, shape))
            for key, shape in (shapes or {}).items()
        )
    ]
    return (right or fitting)[0]


def _table(layout: str) -> Table:
    if layout not in TABLES:
        raise InputError(f'unknown layout {layout!r}; known are {", ".join(LAYOUTS)}')
    return TABLES[layout]


@cache
def _names(layout: str) -> frozenset[str]:
    return frozenset(key for key in TABLES[layout] if not key.endswith(COUNTER))


@cache
def _our_names(layout: str) -> frozenset[str]:
    table = TABLES[layout].values()
    return frozenset(ours for ours, _ in table if not ours.endswith(COUNTER))


def _refuse_our_names(found: set[str]) -> None:
    for layout in LAYOUTS:
        ours = _our_names(layout)
        if found == ours:
            raise InputError(
                f'these are already names of our models (the layout {layout!r}); '
                'load the file as it is'
            )
        if found == {key.removeprefix('backbone.') for key in ours}:
            raise InputError(
                f'these are already names of our backbone (the layout {layout!r}); '
                "give the file to its init_cfg, of type 'Pretrained', without a prefix"
            )


def _rename(
    state_dict: Mapping[str, Tensor], names: Mapping[str, str], where: str
) -> State:
    unknown = [key for key in state_dict if key not in names]
    if unknown:
        raise InputError(f'tensors unknown to {where}: {listed(unknown)}')
    return {names[key]: tensor for key, tensor in state_dict.items()}


def _strip_module(keys: set[str]) -> set[str]:
    if all(key.startswith('module.') for key in keys):
        return {key.removeprefix('module.') for key in keys}
    return keys


def without_module(state_dict: Mapping[str, Tensor]) -> State:
    """Take off the ``module.`` that parallel training puts before every name."""
    if all(key.startswith('module.') for key in state_dict):
        return {key.removeprefix('module.'): v for key, v in state_dict.items()}
    return dict(state_dict)


def check_shapes(state: Mapping[str, Tensor], layout: str) -> None:
    """Compare a released checkpoint with its layout.

    Raises:
        ValueError: If a tensor, counters aside, is missing or of another shape, or
            two are for different numbers of classes.
    """
    shapes = layout_shapes(layout)
    missing = [key for key in shapes if key not in state and not key.endswith(COUNTER)]
    if missing:
        raise InputError(f'tensors of the layout {layout!r} missing: {listed(missing)}')
    for key, wanted in shapes.items():
        shape = tuple(state[key].shape) if key in state else wanted
        if not _fits(shape, wanted):
            shown = tuple('classes' if n is None else n for n in wanted)
            raise InputError(f'{key} has shape {shape}, expected {shown}')
    _check_classes(state, shapes)


def _check_classes(state: Mapping[str, Tensor], shapes: Mapping[str, Shape]) -> None:
    found = {
        state[key].shape[i]: key
        for key, shape in shapes.items()
        for i, size in enumerate(shape)
        if size is None
    }
    for number, key in found.items():
        if not 1 <= number <= MOST_CLASSES:
            raise InputError(
                f'{key} is for {number} classes, expected 1 to {MOST_CLASSES}'
            )
    if len(found) > 1:
        shown = ', '.join(f'{key} for {number}' for number, key in found.items())
        raise InputError(f'the number of classes is not clear: {shown}')


def _fits(shape: Shape, wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        n is None or n == size for size, n in zip(shape, wanted)
    )


def listed(keys: Iterable[str], most: int = 8) -> str:
    """List names for a message, the first few of them."""
    ordered = sorted(keys)
    if not ordered:
        return 'nothing'
    shown = ', '.join(ordered[:most])
    extra = len(ordered) - most
    return f'{shown} and {extra} more' if extra > 0 else shown
