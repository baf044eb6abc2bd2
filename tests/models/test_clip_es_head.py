"""CLIP-ES's head on a tiny CLIP: its functions, and what it refuses."""

import copy

import pytest
import torch
from mmseg.structures import SegDataSample

from wsss_mm.functional import (
    attention_affinity,
    box_mask,
    patch_attention,
    refine_cam,
    stretch,
)
from wsss_mm.models.structures import View, identity
from wsss_mm.models.testing import tiny_network
from wsss_mm.utils.errors import InputError

CLIP = dict(
    type='CLIPVisionTransformer', embed_dims=24, num_layers=2, num_heads=3, img_size=64
)
HEAD = dict(
    type='CLIPESHead',
    embed_dims=24,
    num_heads=3,
    output_dims=8,
    attention_layers=2,
    background_words=['sky', 'water'],
    text=dict(encoder=dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8)),
)


def network(**head):
    config = dict(
        decode_head=copy.deepcopy({**HEAD, **head}),
        backbone=CLIP,
        test_cfg=dict(normalization='none', background_threshold=0.5),
    )
    model = tiny_network(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.6)
    return model


def look(model, labels=((1, 0, 1),), size=(48, 64)):
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    images = images.to(model.backbone.cls_token.dtype)
    given = None if labels is None else torch.tensor(labels).float()
    return model.look({'full': View(images, identity)}, image_labels=given)


def test_it_is_its_functions():
    # Spread maps are nearly flat here, and stretched: float32 would lose digits.
    model = network(box_threshold=0.3).double()
    head, context = model.decode_head, look(model)
    maps, logits = head.predict(context)
    tokens = torch.cat(
        [
            context.class_tokens['full'][-1][0][None],
            context.features['full'][-1][0].flatten(1).T,
        ]
    )
    names = head.text([('bird',), ('dog',), ('sky',), ('water',)]).double()
    cams = head.last_block.word_cams(tokens, names, count=2, size=(3, 4))
    raw = stretch(cams.maps.relu())
    attention = [*context.attention['full'], cams.attention[None, None]]
    affinity = attention_affinity(patch_attention(attention, layers=2)[0].mean(dim=0))
    once = refine_cam(raw, affinity, box_mask(raw, threshold=0.3))
    refined = refine_cam(once, affinity)
    torch.testing.assert_close(maps[0, [0, 2]], stretch(refined))
    assert not maps[0, 1].any()
    torch.testing.assert_close(head.raw_cam(context)[0, [0, 2]], cams.maps)
    every = head.text([(n,) for n in ('bird', 'cat', 'dog', 'sky', 'water')]).double()
    feature = torch.nn.functional.normalize(cams.feature, dim=0)
    wanted = (100 * every @ feature).softmax(dim=0)[:3]
    torch.testing.assert_close(logits.sigmoid()[0], wanted, atol=2e-6, rtol=1e-4)


def test_without_refinement_it_is_grad_cam():
    model = network(attention_layers=None)
    context = look(model)
    raw = model.decode_head.raw_cam(context)
    maps, _ = model.decode_head.predict(context)
    twice = stretch(stretch(raw[0, [0, 2]].relu()))
    torch.testing.assert_close(maps[0, [0, 2]], twice)


def test_words_and_backgrounds_have_a_say():
    plain = network()
    for change in (
        dict(words=dict(bird=['crow', 'magpie'])),
        dict(background_words=['sky']),
        dict(background_words=()),
        dict(templates=['{}']),
    ):
        other = network(**change)
        first = plain.decode_head.raw_cam(look(plain))
        second = other.decode_head.raw_cam(look(other))
        assert not torch.allclose(first, second, rtol=1e-3, atol=0), change


def test_names_of_the_config_go_first():
    model = network(class_names=['background', 'crow', 'cat', 'dog'])
    assert model.class_names[1] == 'crow'
    same = network(words=dict(bird='crow'))
    found = model.decode_head.raw_cam(look(model))
    torch.testing.assert_close(found, same.decode_head.raw_cam(look(same)))


def test_an_image_without_classes_is_background():
    model = network()
    sample = SegDataSample(metainfo=dict(img_path='a.jpg', ori_shape=(45, 61)))
    sample.image_labels = torch.zeros(3)
    with torch.no_grad():
        (done,) = model.predict(torch.randn(1, 3, 48, 64), [sample])
    assert not done.pred_sem_seg.data.any()
    assert done.cam.maps.shape == (0, 45, 61)
    assert done.tag_scores.isfinite().all()


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(box_threshold=1), 'box_threshold'),
        (dict(words=dict(bird=[])), "words of 'bird'"),
        (dict(background_words=['']), "words of 'the background'"),
        (dict(templates=['x']), 'template'),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(change, message):
    with pytest.raises(InputError, match=message):
        network(**change)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(attention_layers=4), 'the attention of 3 blocks'),
        (dict(words=dict(cow='cow')), "words are given for 'cow'"),
        (dict(class_names=['background', 'bird']), 'names of its 4'),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_known(change, message):
    model = network(**change)
    with pytest.raises(InputError, match=message):
        model.decode_head.predict(look(model))


def test_another_backbone_is_refused():
    model = tiny_network(dict(decode_head=dict(HEAD)))
    context = model.look(
        {'full': View(torch.zeros(1, 3, 64, 64), identity)}, image_labels=None
    )
    with pytest.raises(InputError, match='no class token, so this is not CLIP'):
        model.decode_head.predict(context)
