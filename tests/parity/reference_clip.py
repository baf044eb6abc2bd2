"""Weights of CLIP's golden vectors by rule C; use the fixtures ``clip_*``."""

import math
import zlib

import numpy as np
import torch

from wsss_mm.convert.clip_names import CLIP_VIT_B16, to_our_axes


def fill_c(key, shape):
    """One tensor of OpenAI's state dict, float32."""
    noise = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    noise = np.asarray(noise, dtype=np.float32)
    last = key.rsplit('.', 1)[-1]

    def scaled(fan, factor=1.0):
        return noise * np.float32(np.sqrt(1 / fan)) * np.float32(factor)

    if key == 'logit_scale':
        return np.float32(math.log(100))
    positions = ('class_embedding', 'positional_embedding')
    if last in positions or key == 'token_embedding.weight':
        return np.float32(0.5) * noise
    if last == 'in_proj_weight':
        width = shape[1]
        value = scaled(width, 2)
        value[width : 2 * width] += np.float32(0.25) * value[:width]
        return value
    if last in ('proj', 'text_projection') and len(shape) == 2:
        return scaled(shape[0])
    if key.endswith(('out_proj.weight', 'c_proj.weight')):
        return scaled(shape[1], 0.5)
    if last in ('bias', 'in_proj_bias'):
        return np.float32(0.1) * noise
    if len(shape) >= 2:
        return scaled(np.prod(shape[1:]))
    return np.float32(1) + np.float32(0.1) * noise


def openai_state():
    """What OpenAI's file of ViT-B/16 holds, by rule C."""
    return {
        key: torch.from_numpy(np.asarray(fill_c(key, shape)))
        for key, (_, shape) in CLIP_VIT_B16.items()
    }


def our_state(released):
    """The same by our names."""
    return to_our_axes({CLIP_VIT_B16[key][0]: t for key, t in released.items()})
