"""Weights and inputs of the golden vectors, made by their two rules.

Load it through the fixture ``reference_weights``: tests are no package.
"""

import zlib

import numpy as np
import torch

from wsss_mm.io.checkpoint_keys import layout_shapes, to_ours


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
        values = np.asarray(FILLS[rule](name, known), dtype=np.float32)
        state[key] = torch.from_numpy(values)
    return state


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
