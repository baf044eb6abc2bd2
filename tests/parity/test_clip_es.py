"""CLIP-ES against its released code (golden files ``clipes_*``)."""

import pytest
import torch

from wsss_mm.functional import channel_weights, grad_cam, stretch
from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer


def close(actual, expected, atol, rtol=0):
    torch.testing.assert_close(
        actual.detach(), torch.as_tensor(expected), atol=atol, rtol=rtol
    )


@pytest.fixture(scope='module')
def backbone(clip_part):
    return clip_part(CLIPVisionTransformer(), 'backbone.')


@pytest.fixture(scope='module')
def last_block(clip_part):
    return clip_part(CLIPLastBlock(), 'last_block.')


def test_grad_cam_alone(golden):
    vector = golden('clipes_unit_gradcam')
    weights = channel_weights(torch.from_numpy(vector['grads']))
    close(weights, vector['weights'], 1e-6)
    raw = grad_cam(torch.from_numpy(vector['activations'])[0], weights)
    close(raw, vector['raw'], 1e-5)
    first = stretch(raw.relu())
    close(first, vector['norm1'], 1e-6)
    close(stretch(first.relu()), vector['norm2'], 1e-6)
    zero = stretch(torch.zeros_like(raw))
    close(zero, vector['norm_of_zero_map'], 0)


def test_grad_cam_of_an_image(golden, backbone, last_block):
    vector = golden('clipes_cam_75x100')
    image = torch.from_numpy(golden('clip_image_75x100')['input'])[None]
    output = backbone(image)
    patches = output.maps[-1].flatten(2).transpose(1, 2)[0]
    tokens = torch.cat([output.class_tokens[-1], patches])
    words = torch.from_numpy(vector['text_features'])
    found = last_block.word_cams(tokens, words, count=2, size=(5, 7))
    close(found.probabilities, vector['softmax'], 1e-5)
    scale = abs(vector['cam_raw']).max()
    close(found.maps / scale, vector['cam_raw'] / scale, 1e-4)
    maps = stretch(found.maps.relu())
    close(maps, vector['cam_norm1'], 1e-4)
    close(stretch(maps.relu()), vector['cam'], 1e-4)
    attention = golden('clip_image_75x100')['attn'][11]
    close(found.attention, attention, 1e-5)
