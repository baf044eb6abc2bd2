import copy

import pytest
import torch

from wsss_mm.functional import (
    attended_cam,
    attention_transition,
    box_mask,
    class_attention,
    patch_attention,
    refine_cam,
    stretch,
)
from wsss_mm.models.backbones import AttentionViT
from wsss_mm.models.decode_heads import AttentionCAMHead, CAMHead
from wsss_mm.models.testing import batch, tiny_network
from wsss_mm.utils.errors import InputError

VIT = dict(type='AttentionViT', embed_dims=24, num_layers=3, num_heads=2, img_size=64)
HEAD = dict(type='AttentionCAMHead', in_channels=24, attention_layers=2)


def test_a_vision_transformer_gives_its_attention():
    torch.manual_seed(0)
    vit = AttentionViT(
        embed_dims=24, num_layers=3, num_heads=2, img_size=64, out_indices=(0, 2)
    )
    vit.init_weights()
    images = torch.rand(2, 3, 48, 80)
    output = vit(images)
    assert [tuple(one.shape) for one in output.maps] == [(2, 24, 3, 5)] * 2
    assert [tuple(one.shape) for one in output.attention] == [(2, 1, 16, 16)] * 3
    assert [tuple(one.shape) for one in output.class_tokens] == [(2, 24)] * 2
    for one in output.attention:
        torch.testing.assert_close(one.sum(dim=-1), torch.ones(2, 1, 16))
        assert not one.requires_grad
    # Its first layer's, from its weights.
    tokens, _ = vit.patch_embed(images)
    tokens = torch.cat([vit.cls_token.expand(2, -1, -1), tokens], dim=1)
    tokens = vit._pos_embeding(tokens, (3, 5), vit.pos_embed)
    layer = vit.layers[0]
    normed = layer.norm1(tokens)
    weight, bias = layer.attn.attn.in_proj_weight, layer.attn.attn.in_proj_bias
    query, key, _ = (normed @ weight.T + bias).chunk(3, dim=-1)
    heads = [
        (q @ k.mT / 12**0.5).softmax(dim=-1)
        for q, k in zip(query.split(12, -1), key.split(12, -1))
    ]
    expected = (heads[0] + heads[1]) / 2
    torch.testing.assert_close(
        output.attention[0][:, 0], expected, rtol=1e-4, atol=1e-6
    )
    output.maps[-1].sum().backward()
    assert vit.layers[0].attn.attn.in_proj_weight.grad.abs().sum() > 0


@pytest.mark.parametrize('box_threshold', [0.4, None])
def test_the_head_is_its_functions(box_threshold):
    head = dict(HEAD, box_threshold=box_threshold)
    network = tiny_network(dict(backbone=VIT, decode_head=head)).eval()
    data = network.data_preprocessor(batch(), False)
    with torch.no_grad():
        (view, _) = network.predict_views(**copy.deepcopy(data))
        output = network.backbone(data['inputs'])
        raw = network.decode_head(output.maps)[0].relu()
    attention = patch_attention(output.attention, layers=2)[0].mean(dim=0)
    maps = stretch(raw)
    mask = None
    if box_threshold is not None:
        mask = box_mask(maps, threshold=box_threshold, full_boxes=True)
    expected = stretch(refine_cam(maps, attention_transition(attention), mask))
    torch.testing.assert_close(view.cam, expected[[0, 2]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('layers', [None, 2])
def test_class_token_and_plain_attention(layers):
    head = dict(HEAD, attention_layers=layers, box_threshold=None)
    head |= dict(balanced=False, class_token_layers=3)
    network = tiny_network(dict(backbone=VIT, decode_head=head)).eval()
    data = network.data_preprocessor(batch(), False)
    with torch.no_grad():
        (view, _) = network.predict_views(**copy.deepcopy(data))
        output = network.backbone(data['inputs'])
        raw = network.decode_head(output.maps)[0].relu()
    seen = class_attention([one[:1] for one in output.attention], layers=3)[0]
    expected = attended_cam(raw, seen)
    if layers is not None:
        attention = patch_attention(output.attention, layers=2)[0].mean(dim=0)
        # Cells take what they attend to.
        taken = (attention / attention.sum(-1, keepdim=True)) @ stretch(
            expected
        ).flatten(1).T
        expected = stretch(taken.T.view_as(expected))
    torch.testing.assert_close(view.cam, expected[[0, 2]], rtol=1e-4, atol=1e-5)


def test_without_layers_it_is_the_plain_head():
    head = dict(HEAD, attention_layers=None)
    network = tiny_network(dict(backbone=VIT, decode_head=head)).eval()
    data = network.data_preprocessor(batch(), False)
    with torch.no_grad():
        (view, _) = network.predict_views(**copy.deepcopy(data))
        raw = network.decode_head(network.backbone(data['inputs']).maps)[0].relu()
    torch.testing.assert_close(view.cam, raw[[0, 2]])


def test_training_is_the_plain_head_s():
    network = tiny_network(dict(backbone=VIT, decode_head=HEAD)).eval()
    plain = CAMHead(24, 4)
    plain.load_state_dict(network.decode_head.state_dict())
    network.eval()
    data = network.data_preprocessor(batch(), True)
    losses = network.loss(**copy.deepcopy(data))
    network.decode_head = plain.eval()
    for name, loss in network.loss(**data).items():
        torch.testing.assert_close(losses[name], loss)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r'box_threshold is 1\.0'):
        AttentionCAMHead(24, 4, box_threshold=1.0)
    with pytest.raises(InputError, match='attention_layers is 0; give 1 or more'):
        AttentionCAMHead(24, 4, attention_layers=0)
    with pytest.raises(InputError, match='class_token_layers is 0; give 1 or more'):
        AttentionCAMHead(24, 4, class_token_layers=0)
    head = dict(HEAD, class_token_layers=4)
    network = tiny_network(dict(backbone=VIT, decode_head=head)).eval()
    with pytest.raises(InputError, match='class_token_layers is 4, but the backbone'):
        network.test_step(batch())
    head = dict(HEAD, attention_layers=4)
    network = tiny_network(dict(backbone=VIT, decode_head=head)).eval()
    with pytest.raises(InputError, match='gives the attention of 3 layers'):
        network.test_step(batch())
    bare = tiny_network(dict(decode_head=dict(HEAD, in_channels=32))).eval()
    with pytest.raises(InputError, match='gives the attention of 0 layers'):
        bare.test_step(batch())
