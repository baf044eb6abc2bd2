"""Frozen CLIP against what CLIP-ES's code computes (golden files ``clip_*``)."""

import numpy as np
import pytest
import torch

from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer
from wsss_mm.models.text.word_features import WordFeatures

TEMPLATE = 'a clean origami {}.'


def close(actual, expected, atol, rtol=0):
    torch.testing.assert_close(
        actual.detach(), torch.as_tensor(expected), atol=atol, rtol=rtol
    )


def tokens_of(output, index=-1):
    """Class token and patches, (B, N, D)."""
    patches = output.maps[index].flatten(2).transpose(1, 2)
    return torch.cat([output.class_tokens[index][:, None], patches], dim=1)


@pytest.fixture(scope='module')
def backbone(clip_part):
    return clip_part(CLIPVisionTransformer(), 'backbone.')


@pytest.fixture(scope='module')
def last_block(clip_part):
    return clip_part(CLIPLastBlock(), 'last_block.')


def test_first_values(reference_clip):
    # Given in the README of the golden vectors.
    for key, wanted in {
        'visual.conv1.weight': (-0.03491979, -0.03125746, 0.02472585),
        'visual.transformer.resblocks.0.attn.in_proj_weight': (
            *(-0.00260732, 0.06354149, -0.02868306),
        ),
        'visual.proj': (0.07693031, 0.02764135, 0.00144751),
        'positional_embedding': (-1.4534179, -0.33895367, 0.48507428),
    }.items():
        shape = reference_clip.CLIP_VIT_B16[key][1]
        found = reference_clip.fill_c(key, shape).ravel()[:3]
        np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_words(golden, clip_file):
    vector = golden('clip_text')
    features = WordFeatures(checkpoint=str(clip_file), templates=[TEMPLATE])
    from mmseg.utils import tokenizer

    ids = tokenizer.tokenize(vector['prompts'].tolist()).numpy()
    np.testing.assert_array_equal(ids, vector['token_ids'])
    np.testing.assert_array_equal(ids.argmax(1), vector['eot_index'])
    words = [(w,) for w in vector['new_class_names'].tolist()]
    close(features(words), vector['fg_text_features'], 1e-5)
    background = [(w,) for w in vector['background'].tolist()]
    close(features(background), vector['bg_text_features'], 1e-5)


def test_image(golden, backbone, last_block, clip_file):
    vector = golden('clip_image_75x100')
    with torch.no_grad():
        output = backbone(torch.from_numpy(vector['input'])[None])
        first, eleventh = tokens_of(output, 0), tokens_of(output)
        twelfth, attention = last_block(eleventh)
    close(first[0], vector['block0'], 2e-4)
    close(eleventh[0], vector['feat11'], 2e-4)
    close(twelfth[0], vector['feat12'], 2e-4)
    assert output.attention[0].shape == (1, 1, 36, 36)
    every = torch.cat([*output.attention, attention])[:, 0]
    close(every, vector['attn'], 1e-5)
    pooled = last_block.project(twelfth)[0]
    close(pooled[0], vector['class_token_feature'], 2e-4)
    close(pooled[1:].mean(0), vector['pooled'], 2e-4)


def test_the_references_rounded_positions(golden, backbone):
    # What the released code gives differs by its float16 positions, not by ours.
    vector = golden('clip_image_75x100')
    own = backbone.pos_embed.data.clone()
    resized = backbone.resize_pos_embed(own, (5, 7), (14, 14), 'bilinear')
    close(resized[0], vector['pos_embed'], 1e-6)
    image = torch.from_numpy(vector['input'])[None]
    try:
        backbone.resize_pos_embed = lambda *_: resized.half().float()
        rounded = tokens_of(backbone(image))
    finally:
        del backbone.resize_pos_embed
    close(rounded[0], vector['feat11_half'], 2e-4)


def test_positions(golden):
    vector = golden('clip_pos_embed')
    source = torch.from_numpy(vector['src_first24'])[None]
    resize = CLIPVisionTransformer.resize_pos_embed
    for name, size in (('up_20x25', (20, 25)), ('down_4x9', (4, 9))):
        found = resize(source, size, (14, 14), 'bilinear')[0]
        close(found, vector[f'{name}_first24'], 1e-6)
    found = resize(source, (14, 14), (14, 14), 'bilinear')[0, :, :8]
    close(found, vector['id_14x14_first8'], 1e-6)


def test_a_batch_of_long_images(golden, backbone):
    vector = golden('clip_feat_32x272_batch2')
    noise = np.random.RandomState(int(vector['seed'])).randn(2, 3, 32, 272)
    output = backbone(torch.from_numpy(noise.astype(np.float32)))
    tokens = tokens_of(output)
    close(tokens[..., :32], vector['feat11_first32'], 2e-4)
    close(tokens.norm(dim=-1), vector['feat11_norm'], 2e-3)
    close(output.attention[-1][:, 0], vector['attn11'], 1e-5)
