"""Turn released checkpoints of any format into weights of our models, and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wsss_mm.convert.caffe_file import read_caffemodel
from wsss_mm.convert.checkpoint_keys import (
    State,
    check_shapes,
    detect_layout,
    duplicate_of,
    is_spare,
    listed,
    reason_to_drop,
    to_ours,
    to_reference,
    without_module,
)
from wsss_mm.convert.checkpoint_layouts import DROPPED, DUPLICATES, LAYOUTS
from wsss_mm.convert.checkpoint_shapes import COUNTER
from wsss_mm.convert.clip_names import to_openai_names, to_our_axes
from wsss_mm.convert.mxnet_file import LIST_MAGIC, read_mxnet_params
from wsss_mm.convert.safetensors_file import is_safetensors, read_safetensors
from wsss_mm.convert.torchscript import is_torchscript, read_torchscript
from wsss_mm.utils.errors import InputError

ZIP_MAGIC = b'PK\x03\x04'
PICKLE_MAGIC = b'\x80'
# What a failed download leaves behind: a web page, or the pointer of Git LFS.
NO_WEIGHTS = (b'<', b'{', b'version https://git-lfs')
# Layouts that can be written for the released code: those without tensors of no use
# to us, which it would miss.
REFERENCE_LAYOUTS = tuple(
    layout for layout in LAYOUTS if layout not in DROPPED and layout != 'seenet_vgg16'
)
_CAFFE = ('caffe_vgg16_largefov', 'caffe_vgg16', 'seenet_vgg16')
_MXNET = ('mxnet_resnet38',)
_LAYOUTS = {
    'torch': tuple(layout for layout in LAYOUTS if layout not in (*_CAFFE, *_MXNET)),
    'mxnet': _MXNET,
    'safetensors': tuple(name for name in LAYOUTS if name not in (*_CAFFE, *_MXNET)),
    'caffe': _CAFFE,
}
# What is done to tensors that have our names already.
FINISHES: dict[str, Callable[[State], State]] = {'clip_vit_b16': to_our_axes}
_TORCHVISION_INPUT = (
    'trained on RGB images normalised as torchvision does: take {} out of the '
    "config's data_preprocessor"
)
# Names alone do not tell the original VGG-16 from other ones cut short.
DROPPED_SIZES = {'caffe_vgg16': {'fc6.weight': 4096 * 25088, 'fc7.weight': 4096**2}}
NOTES = {
    'clip_vit_b16': (
        "for weights that OpenAI trained; LAION's of the same names (open_clip) want "
        'GELU where these models have QuickGELU'
    ),
    'caffe_vgg16': 'VGG16WSSS also has fc6 and fc7, which start from random weights',
    'torchvision_vgg16': _TORCHVISION_INPUT.format('rgb_to_bgr, mean and std'),
    'mmpretrain_vgg16': _TORCHVISION_INPUT.format('rgb_to_bgr, mean and std'),
    'torchvision_mobilenet_v2': _TORCHVISION_INPUT.format('mean and std'),
    'mmpretrain_mobilenet_v2': _TORCHVISION_INPUT.format('mean and std'),
}


@dataclass(frozen=True)
class Conversion:
    """What became of the tensors of a released file.

    Attributes:
        layout: Which released network it is, one of ``LAYOUTS``.
        state: Tensors by our name.
        copies: Names of tensors that the file holds a second time.
        dropped: Names of tensors that our models do not use, and why.
        counters: Our names of batch counters that the file lacks and that were set
            to 0; they have no part in a prediction.
    """

    layout: str
    state: State
    copies: tuple[str, ...]
    dropped: dict[str, str]
    counters: tuple[str, ...]


def file_format(path: str | Path) -> str:
    """Find by content whether a file is `torch`, `safetensors`, `mxnet` or `caffe`.

    What is none of the others is taken for Caffe's.

    Raises:
        ValueError: If it cannot be read, or is text.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f'{path}: {error.strerror}') from error
    if head.startswith((ZIP_MAGIC, PICKLE_MAGIC)):
        return 'torch'
    if head.startswith(LIST_MAGIC.to_bytes(8, 'little')):
        return 'mxnet'
    if is_safetensors(head):
        return 'safetensors'
    if head.lstrip().startswith(NO_WEIGHTS):
        raise InputError(
            f'{path}: this is text and no weights (it begins {head[:24]!r}); the '
            'download went wrong, fetch it again'
        )
    return 'caffe'


def read_tensors(path: str | Path) -> State:
    """Read the tensors of a file of any format, told apart by content.

    Args:
        path: A file of ``torch.save`` with a state dict, by itself or under
            ``state_dict``; one of ``torch.jit.save``; a ``.safetensors`` file; an MXNet
            ``.params`` file; or a ``.caffemodel``.

    Returns:
        Tensors on the CPU by the file's names; Caffe's are ``<layer>.weight`` and
        ``<layer>.bias``.

    Raises:
        ValueError: If the file is none of these, damaged, or holds more than
            tensors and plain values: nothing in it is executed.
    """
    found = file_format(path)
    if found == 'torch':
        return read_torchscript(path) if is_torchscript(path) else _read_torch(path)
    if found == 'safetensors':
        return read_safetensors(path)
    if found == 'mxnet':
        arrays = read_mxnet_params(path)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        return _read_caffe(path)
    except ValueError as error:
        raise InputError(
            f'{error}. The file is taken for a .caffemodel because it is neither of '
            'PyTorch nor an MXNet .params file'
        ) from error


def convert_released(path: str | Path, layout: str | None = None) -> Conversion:
    """Read a released checkpoint for our models; every tensor must be explained.

    Args:
        path: A file that ``read_tensors`` reads.
        layout: One of ``LAYOUTS``; None finds it by format, names and shapes.

    Raises:
        ValueError: If the file cannot be read, no layout explains all its tensors,
            one is missing, has another shape or values that are not finite floats,
            or two contradict each other.
    """
    state = without_module(read_tensors(path))
    try:
        state = to_openai_names(state)
        if layout is None:
            shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
            layout = detect_layout(state, shapes, layouts=_LAYOUTS[file_format(path)])
        check_shapes(state, layout)
        ours = FINISHES.get(layout, dict)(to_ours(state, layout))
        _check_values({k: v for k, v in state.items() if not is_spare(k, layout)})
        _check_dropped(state, layout)
    except ValueError as error:
        raise InputError(f'{path}: {error}') from error
    norms = [k.removesuffix('running_var') for k in ours if k.endswith('.running_var')]
    counters = tuple(f'{k}{COUNTER}' for k in norms if f'{k}{COUNTER}' not in ours)
    zeros = {key: torch.zeros((), dtype=torch.int64) for key in counters}
    reasons = {key: reason_to_drop(key, layout) for key in state}
    return Conversion(
        layout=layout,
        state={**ours, **zeros},
        copies=tuple(key for key in state if duplicate_of(key, layout)),
        dropped={key: reason for key, reason in reasons.items() if reason},
        counters=counters,
    )


def to_released(state: Mapping[str, Tensor], layout: str) -> State:
    """Rename a model of ours for the released code, second copies included.

    Args:
        state: All tensors of the model by our name.
        layout: One of ``REFERENCE_LAYOUTS``.

    Raises:
        ValueError: If the layout cannot be written, or a tensor is unknown to it,
            missing or of another shape.
    """
    if layout not in REFERENCE_LAYOUTS:
        raise InputError(
            f'the layout {layout!r} cannot be written; '
            f'these can: {", ".join(REFERENCE_LAYOUTS)}'
        )
    released = to_reference(state, layout)
    check_shapes(released, layout)
    copies = {
        copy + key.removeprefix(original): tensor
        for copy, original in DUPLICATES.get(layout, {}).items()
        for key, tensor in released.items()
        if key.startswith(original)
    }
    return {**released, **copies}


def report(conversion: Conversion) -> str:
    """Tell in a few lines what was mapped, dropped and missing."""
    mapped = len(conversion.state) - len(conversion.counters)
    lines = [f'kind: {conversion.layout}', f'mapped: {mapped} tensors']
    if conversion.copies:
        lines.append(
            f'dropped: {len(conversion.copies)} tensors that are there twice, with '
            f'the same values: {listed(conversion.copies, 2)}'
        )
    for reason in dict.fromkeys(conversion.dropped.values()):
        keys = [key for key, why in conversion.dropped.items() if why == reason]
        lines.append(f'dropped: {len(keys)} tensors ({reason}): {listed(keys, 2)}')
    if conversion.counters:
        lines.append(
            f'missing: {len(conversion.counters)} counters ({COUNTER}), set to 0'
        )
    if conversion.layout in NOTES:
        lines.append(f'note: {NOTES[conversion.layout]}')
    return '\n'.join(lines)


def _read_torch(path: str | Path) -> State:
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises many kinds for a foreign file
        raise InputError(
            f'{path}: not a checkpoint of tensors that torch can read safely: it is '
            'damaged, or holds code; expected a state dict written by torch.save'
        ) from error
    if isinstance(state, dict) and isinstance(state.get('state_dict'), dict):
        state = state['state_dict']
    if not (isinstance(state, dict) and state) or not all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in state.items()
    ):
        raise InputError(
            f'{path}: expected a dict of tensors, by itself or under state_dict'
        )
    return dict(state)


def _read_caffe(path: str | Path) -> State:
    state: State = {}
    for layer, blobs in read_caffemodel(path).items():
        for i, blob in enumerate(blobs):
            name = {0: 'weight', 1: 'bias'}.get(i, f'blob{i}')
            # Old files give every blob four dimensions.
            flat = i == 1 and blob.shape == (1, 1, 1, blob.size)
            array = blob.reshape(-1) if flat else blob
            state[f'{layer}.{name}'] = torch.from_numpy(array)
    return state


def _check_values(state: State) -> None:
    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_meta:
            raise InputError(f'{key} is not a dense tensor; store it as one')
        if not tensor.is_floating_point() and not key.endswith(COUNTER):
            raise InputError(f'{key} holds {tensor.dtype} values, expected floats')
        # A sum in double precision is finite if, and only if, all numbers are.
        if not torch.isfinite(tensor.sum(dtype=torch.float64)):
            raise InputError(f'{key} holds values that are not finite: it is damaged')


def _check_dropped(state: State, layout: str) -> None:
    for key, size in DROPPED_SIZES.get(layout, {}).items():
        if key in state and state[key].numel() != size:
            raise InputError(
                f'{key} has {state[key].numel()} values where the network '
                f'{layout!r} has {size}: it is another network, or damaged'
            )
