"""CLIP's image blocks, tiny: whole patches, positions, attention, frozen."""

import pytest
import torch

from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock, gradients_of
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer, whole_patches
from wsss_mm.utils.errors import InputError


def tiny(**more):
    torch.manual_seed(0)
    options = dict(img_size=64, embed_dims=24, num_layers=3, num_heads=3)
    backbone = CLIPVisionTransformer(**{**options, **more})
    backbone.init_weights()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.normal_(std=0.2)
    return backbone


def images(*size, seed=1):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def test_whole_patches():
    image = images(1, 3, 37, 50)
    assert whole_patches(image, 16).shape == (1, 3, 48, 64)
    dropped = whole_patches(image, 16, 'drop')
    assert torch.equal(dropped, image[..., :32, :48])
    whole = images(1, 3, 32, 48)
    assert whole_patches(whole, 16) is whole
    assert torch.equal(whole_patches(whole, 16, 'drop'), whole)


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: whole_patches(images(1, 3, 32, 32), 16, 'pad'), 'partial_patches'),
        (lambda: whole_patches(images(1, 3, 32, 9), 16, 'drop'), 'less than a patch'),
        (lambda: tiny(partial_patches='pad'), 'partial_patches'),
        (lambda: tiny(attention_layers=4), 'there are 3 blocks'),
    ],
)
def test_other_ways_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_what_it_gives():
    output = tiny(out_indices=(0, 2))(images(2, 3, 48, 80))
    assert [tuple(one.shape) for one in output.maps] == [(2, 24, 3, 5)] * 2
    assert [tuple(one.shape) for one in output.class_tokens] == [(2, 24)] * 2
    assert [tuple(one.shape) for one in output.attention] == [(2, 1, 16, 16)] * 3
    for attention in output.attention:
        torch.testing.assert_close(attention.sum(dim=-1), torch.ones(2, 1, 16))


@pytest.mark.parametrize('layers', [0, 2])
def test_attention_of_the_last_blocks_alone(layers):
    image = images(2, 3, 48, 80)
    whole, few = tiny()(image), tiny(attention_layers=layers)(image)
    assert len(few.attention) == layers
    for one, wanted in zip(few.attention, whole.attention[3 - layers :]):
        torch.testing.assert_close(one, wanted)
    for one, wanted in zip(few.maps, whole.maps):
        torch.testing.assert_close(one, wanted)
    backbone = tiny(attention_layers=layers)
    backbone(image)
    assert not any(layer.attn.attn._forward_pre_hooks for layer in backbone.layers)


def test_a_hand_made_block():
    # One block by the definition, heads in a loop.
    backbone = tiny(num_layers=1)
    output = backbone(images(1, 3, 32, 48))
    x, _ = backbone.patch_embed(images(1, 3, 32, 48))
    x = torch.cat([backbone.cls_token, x], dim=1)
    positions = backbone.resize_pos_embed(
        backbone.pos_embed, (2, 3), (4, 4), 'bilinear'
    )
    x = backbone.pre_ln(x + positions)[0]
    layer = backbone.layers[0]
    attn = layer.attn.attn
    q, k, v = torch.nn.functional.linear(
        layer.norm1(x), attn.in_proj_weight, attn.in_proj_bias
    ).chunk(3, dim=-1)
    maps, outs = [], []
    for head in range(3):
        part = slice(8 * head, 8 * head + 8)
        weights = (q[:, part] @ k[:, part].T / 8**0.5).softmax(dim=-1)
        maps.append(weights)
        outs.append(weights @ v[:, part])
    x = x + attn.out_proj(torch.cat(outs, dim=-1))
    first, _, last = layer.ffn.layers[0][0], None, layer.ffn.layers[1]
    hidden = first(layer.norm2(x))
    x = x + last(hidden * torch.sigmoid(1.702 * hidden))
    torch.testing.assert_close(output.attention[0][0, 0], sum(maps) / 3)
    torch.testing.assert_close(output.class_tokens[0][0], x[0])
    torch.testing.assert_close(output.maps[0][0].flatten(1).T, x[1:])


def test_positions_of_as_many_patches_in_another_shape():
    # 2 x 8 are the 16 patches of 4 x 4, which MMSegmentation takes for them.
    backbone = tiny()
    seen = []
    backbone.drop_after_pos.register_forward_hook(lambda _, x, __: seen.append(x[0]))
    zeros = torch.zeros(1, 3, 32, 128)
    backbone(zeros)
    resized = backbone.resize_pos_embed(backbone.pos_embed, (2, 8), (4, 4), 'bilinear')
    torch.testing.assert_close(seen[0][:, 1:], resized[:, 1:])
    assert not torch.allclose(seen[0][:, 1:], backbone.pos_embed[:, 1:])


def test_it_is_frozen_and_leaves_no_hooks():
    backbone = tiny()
    assert backbone.train(True) is backbone
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())
    image = images(1, 3, 48, 48).requires_grad_()
    output = backbone(image)
    assert not output.maps[-1].requires_grad
    assert not any(layer.attn.attn._forward_hooks for layer in backbone.layers)


def test_a_batch_is_its_images():
    backbone, batch = tiny(), images(3, 3, 48, 64)
    together = backbone(batch)
    for i in range(3):
        alone = backbone(batch[i : i + 1])
        torch.testing.assert_close(together.maps[-1][i], alone.maps[-1][0])
        torch.testing.assert_close(together.attention[1][i], alone.attention[1][0])


def test_weights_behind_a_prefix(tmp_path):
    source = tiny()
    state = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    torch.save(state, tmp_path / 'clip.pth')
    init = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'clip.pth'), prefix='backbone.'
    )
    target = CLIPVisionTransformer(
        img_size=64, embed_dims=24, num_layers=3, num_heads=3, init_cfg=init
    )
    target.init_weights()
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)


# --- the last block


@pytest.fixture
def block():
    torch.manual_seed(0)
    block = CLIPLastBlock(embed_dims=24, num_heads=3, output_dims=10, scale=20)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block.double()


def words(count):
    generator = torch.Generator().manual_seed(2)
    found = torch.randn(count, 10, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(found, dim=-1)


def test_word_cams_are_grad_cam_through_the_whole_block(block):
    tokens = images(13, 24).double()
    found = block.word_cams(tokens, words(5), count=3, size=(3, 4))
    # The published procedure: a forward and a backward pass for each word.
    for i in range(3):
        normed = block.block.norm1(tokens).detach().requires_grad_()
        attended, attention = block.attend(normed[None])
        fed = block.feed(tokens + attended[0])
        feature = block.project(fed)[1:].mean(dim=0)
        feature = feature / feature.norm()
        scores = (20 * words(5) @ feature).softmax(dim=0)
        (gradient,) = torch.autograd.grad(scores[i], normed)
        weights = gradient[1:].mean(dim=0)
        cam = (normed[1:] * weights).sum(dim=-1).view(3, 4)
        torch.testing.assert_close(found.maps[i], cam.detach())
        torch.testing.assert_close(found.probabilities, scores.detach())
        torch.testing.assert_close(found.attention, attention[0].mean(dim=0))
    assert not found.maps.requires_grad
    assert all(p.grad is None for p in block.parameters())


def test_its_forward_is_one_more_block(block):
    tokens = images(2, 7, 24).double()
    found, attention = block(tokens)
    whole = block.block(tokens)
    torch.testing.assert_close(found, whole)
    assert attention.shape == (2, 1, 7, 7)


def test_no_words_give_no_maps(block):
    found = block.word_cams(images(13, 24).double(), words(2), count=0, size=(3, 4))
    assert found.maps.shape == (0, 3, 4)
    assert found.probabilities.shape == (2,)


def test_gradients_of_several_scores():
    inputs = images(4, 3).requires_grad_()
    scores = (inputs**2).sum(dim=1)
    found = gradients_of(scores, inputs)
    assert found.shape == (4, 4, 3)
    for i in range(4):
        wanted = torch.zeros(4, 3)
        wanted[i] = 2 * inputs[i].detach()
        torch.testing.assert_close(found[i], wanted)
