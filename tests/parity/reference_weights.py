"""Weights and inputs of the golden vectors, made by their two rules.

Load it through the fixture ``reference_weights``: tests are not a package.
"""

import zlib
from functools import cache

import numpy as np
import torch

from wsss_mm.convert.checkpoint_keys import layout_shapes, to_ours
from wsss_mm.convert.checkpoint_layouts import DUPLICATES

# Config and released layout of the networks of the vectors ``net_*``.
NETWORKS = {
    'net_seam_72x96': ('seam/seam_r38_voc.py', 'resnet38_seam'),
    'net_psa_resnet38_cls_72x96': (
        'affinitynet/affinitynet_r38_voc.py',
        'resnet38_psa_cls',
    ),
    'net_psa_resnet38_aff_104x120': (
        'affinitynet/affinitynet_r38_voc_affinity.py',
        'resnet38_psa_aff',
    ),
    'net_psa_vgg16_cls_72x96': (
        'affinitynet/affinitynet_vgg16_voc.py',
        'vgg16_psa_cls',
    ),
    'net_psa_vgg16_aff_104x120': (
        'affinitynet/affinitynet_vgg16_voc_affinity.py',
        'vgg16_psa_aff',
    ),
    'net_puzzle_resnet50_96x128': (
        'puzzle_cam/puzzle_cam_r50_voc.py',
        'puzzle_resnet50',
    ),
    'net_puzzle_resnest50_96x128': (
        'puzzle_cam/puzzle_cam_resnest50_voc.py',
        'puzzle_resnest50',
    ),
    'net_puzzle_resnest101_96x128': (
        'puzzle_cam/puzzle_cam_resnest101_voc.py',
        'puzzle_resnest101',
    ),
    'net_puzzle_affnet_r50_96x128': (
        'puzzle_cam/puzzle_cam_r50_voc_affinity.py',
        'puzzle_affnet_r50',
    ),
    'net_irn_r50cam_97x129': ('cam/cam_r50_voc.py', 'irn_resnet50'),
}


def fill_a(key, shape):
    """One tensor of the unit and network vectors."""
    rng = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    if key.endswith('running_var'):
        return 1 + 0.1 * rng.rand(*shape)
    if key.endswith(('running_mean', 'bias')):
        return 0.1 * rng.randn(*shape)
    if len(shape) == 4:
        return rng.randn(*shape) * np.sqrt(1 / np.prod(shape[1:]))
    return 1 + 0.1 * rng.randn(*shape)


def fill_b(key, shape):
    """One tensor of the end-to-end vectors."""
    rng = np.random.RandomState(zlib.crc32(key.encode()))
    noise = rng.standard_normal(shape).astype(np.float32)
    last = key.rsplit('.', 1)[-1]
    if last == 'running_var':
        return 1 + 0.1 * np.abs(noise)
    if last == 'running_mean':
        return 0.1 * noise
    if len(shape) >= 2:
        return noise * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return 1 + 0.1 * noise if last == 'weight' else 0.1 * noise


FILLS = {'a': fill_a, 'b': fill_b}


@cache
def filled(name, shape, rule):
    """One tensor; the networks share backbones, which take seconds to fill."""
    values = np.asarray(FILLS[rule](name, shape), dtype=np.float32)
    return torch.from_numpy(values)


def reference_state(layout, *, rule, classes):
    """A state dict as the released code would save it, without counters."""
    state = {}
    for key, shape in layout_shapes(layout).items():
        if key.endswith('num_batches_tracked'):
            continue
        known = tuple(classes if n is None else n for n in shape)
        # The network vectors of Puzzle-CAM and IRN name tensors relative to the
        # backbone.
        short = key.removeprefix('model.').removeprefix('resnet50.')
        name = short if rule == 'a' else key
        state[key] = filled(name, known, rule)
    return state


def released_state(layout):
    """All that the released code would save of a network vector's network."""
    classes = 21 if layout == 'resnet38_seam' else 20
    state = reference_state(layout, rule='a', classes=classes)
    copies = {
        copy + key.removeprefix(original): tensor
        for copy, original in DUPLICATES.get(layout, {}).items()
        for key, tensor in state.items()
        if key.startswith(original)
    }
    if 'affnet' in layout:
        copies['path_indices_0'] = torch.zeros(4, 99, dtype=torch.int64)
    return {**state, **copies}


def load_filled(model, layout, *, rule, classes):
    """Fill a model with a rule's weights; every tensor must find its place."""
    state = to_ours(reference_state(layout, rule=rule, classes=classes), layout)
    found = model.load_state_dict(state, strict=False)
    missing = [k for k in found.missing_keys if not k.endswith('num_batches_tracked')]
    if missing or found.unexpected_keys:
        raise RuntimeError(f'missing {missing}, unexpected {found.unexpected_keys}')
    return model


def network_input(batch, height, width):
    """The input of the network vectors."""
    values = np.random.RandomState(7).randn(batch, 3, height, width)
    return torch.from_numpy(values.astype(np.float32))
