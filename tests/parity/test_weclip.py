"""WeCLIP against its released code (golden files ``weclip_*``)."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional import feature_affinity, kept_layers, patch_attention
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer
from wsss_mm.models.decode_heads import WeCLIPHead, WeCLIPPlusHead
from wsss_mm.models.segmentors.clip_pseudo_masks import CLIPPseudoMasks, pixel_scores

RENAMED = {
    'dino_projection': 'dino_decoder_fts_fuse.linears_modulelist.0',
    'dino_fuse': 'dino_decoder_fts_fuse.linear_fuse',
    'projections': 'decoder_fts_fuse.linears_modulelist',
    'hidden': 'proj',
    'out': 'proj_2',
    'fuse': 'decoder_fts_fuse.linear_fuse',
    'conv_seg': 'decoder.linear_pred',
    'layers': 'decoder.transformer.resblocks',
    'ln1': 'ln_1',
    'ln2': 'ln_2',
}


def released_name(name):
    """Name a tensor of our head as the released code does."""
    for ours, theirs in (
        ('.attn.attn.', '.attn.'),
        ('.ffn.layers.0.0.', '.mlp.c_fc.'),
        ('.ffn.layers.1.', '.mlp.c_proj.'),
    ):
        name = name.replace(ours, theirs)
    return '.'.join(RENAMED.get(part, part) for part in name.split('.'))


def close(found, expected, atol, rtol=1e-4):
    torch.testing.assert_close(
        found.detach(), torch.as_tensor(expected), atol=atol, rtol=rtol
    )


@pytest.fixture(scope='module')
def backbone(clip_part):
    return clip_part(CLIPVisionTransformer(partial_patches='drop'), 'backbone.')


def fill(head, fill_c):
    """Give a head weights by rule C."""
    state = {}
    for name, own in head.state_dict().items():
        # Their 1x1 convolutions are linear layers, but for two.
        shape = own.shape[:2] if 'projection' in name else own.shape
        key = released_name(name)
        value = torch.from_numpy(np.asarray(fill_c(key, shape)))
        scale = 1 / 16 if 'linear_fuse' in key else 1
        state[name] = value.reshape(own.shape) * scale
    head.load_state_dict(state)
    return head


@pytest.fixture
def head(reference_clip):
    return fill(WeCLIPHead([768] * 11, 21, dropout_ratio=0), reference_clip.fill_c)


@pytest.fixture(scope='module')
def names(golden):
    return [f'class {i}' for i in range(20)]


@pytest.fixture(scope='module')
def pseudo_masks(golden, clip_part, names):
    """The maker of masks, with the recorded features of its words."""
    text = golden('clip_text')
    words = text['new_class_names'].tolist()
    background = text['background'].tolist()
    maker = CLIPPseudoMasks(
        text=dict(templates=['a clean origami {}.']),
        words=dict(zip(names, words)),
        background_words=background,
        iterations=20,
    )
    clip_part(maker.last_block, 'last_block.')
    features = np.concatenate([text['fg_text_features'], text['bg_text_features']])
    known = zip([*words, *background], torch.from_numpy(features))
    maker.word_features.known.update(known)
    return maker


def tags_of(masks):
    """Tags of recorded mask files, multi-hot."""
    labels = torch.zeros(len(masks), 20)
    for label, mask in zip(labels, masks):
        for value in np.unique(mask):
            if 0 < value < 255:
                label[int(value) - 1] = 1
    return labels


@pytest.fixture(scope='module')
def net(golden):
    return golden('weclip_net_64x96')


def test_the_network(net, backbone, head):
    output = backbone(torch.from_numpy(net['input']))
    close(output.maps[0][:, :32], net['tokens_block1_first32'], 2e-4)
    close(output.maps[10], net['tokens_block11'], 2e-4)
    fused = head.fused(output)
    close(fused, net['fts'], 2e-4)
    close(head.decode(fused), net['seg'], 2e-4)
    close(feature_affinity(fused), net['attn_pred'], 1e-5)
    assert len(list(head.parameters())) == 84
    assert sum(p.numel() for p in head.parameters()) == 5_985_045
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize('when', ['before', 'after'])
def test_a_step(golden, net, backbone, head, pseudo_masks, names, when):
    vector = golden(f'weclip_step_{when}_64x96')
    images = torch.from_numpy(net['input'])
    output = backbone(images)
    cams = pseudo_masks.tag_cams(output, tags_of(net['mask_png']), names)
    assert torch.cat(cams.classes).tolist() == vector['keys'].tolist()
    assert [len(one) for one in cams.classes] == vector['n_keys'].tolist()
    close(torch.cat(cams.maps), vector['cam'], 1e-4)
    encoder = patch_attention(cams.attention, layers=8)
    close(encoder, net['enc_attn_last8'], 1e-5)

    fused = head.fused(output)
    affinity = feature_affinity(fused.detach())
    kept = kept_layers(encoder[:, -6:], affinity)
    assert torch.equal(kept, torch.from_numpy(vector['attn_keep6']).bool())
    affinity = affinity if when == 'after' else None
    close(pseudo_masks.transition(cams, affinity), vector['trans_mat'], 1e-4)
    refined = pseudo_masks.refined(cams, affinity)
    close(torch.cat(refined), vector['refined'], 1e-4)
    large = torch.cat([pixel_scores(one, (64, 96))[1:] for one in refined])
    close(large, vector['refined_up'], 1e-4)
    mask = pseudo_masks(
        images, output, tags_of(net['mask_png']), names=names, affinity=affinity
    )
    expected = torch.from_numpy(vector['labels'])
    assert (mask == expected).float().mean() >= 0.999

    losses = head.mask_losses(fused, expected.long())
    halves = (vector['bg_loss'] + vector['fg_loss']) / 2
    close(losses['loss_seg'], np.float32(halves), 0)
    close(losses['loss_affinity'], np.float32(0.1 * vector['aff_loss']), 0)
    total = sum(losses.values())
    close(total, vector['loss'], 0)
    total.backward()
    gradients = {released_name(n): p.grad for n, p in head.named_parameters()}
    assert sorted(gradients) == sorted(vector['grad_names'].tolist())
    for name, norm in zip(vector['grad_names'].tolist(), vector['grad_norms']):
        assert float(gradients[name].norm()) == pytest.approx(norm, rel=1e-3), name
    prediction = gradients['decoder.linear_pred.weight'][:, :, 0, 0]
    close(prediction, vector['grad_linear_pred'], 1e-6, rtol=1e-3)
    fuse = gradients['decoder_fts_fuse.linear_fuse.weight'][:32, :64, 0, 0]
    close(fuse, vector['grad_fuse_first32'], 1e-5 * float(fuse.abs().max()), rtol=1e-3)


def test_masks_at_the_size_of_the_image_file(
    golden, net, backbone, head, pseudo_masks, names
):
    vector = golden('weclip_val_64x96')
    pixels = torch.from_numpy(vector['image']).permute(2, 0, 1).float()
    mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    images = ((pixels - mean) / std)[None]
    output = backbone(images)
    fused = head.fused(output)
    close(head.decode(fused), vector['seg'], 2e-4)
    labels = tags_of(vector['mask_png'][None])
    cams = pseudo_masks.tag_cams(output, labels, names)
    assert cams.classes[0].tolist() == vector['keys'].tolist()
    close(cams.maps[0], vector['cam'], 1e-4)
    affinity = feature_affinity(fused.detach())
    (refined,) = pseudo_masks.refined(cams, affinity)
    close(refined, vector['refined'], 1e-4)
    close(pixel_scores(refined, (75, 110))[1:], vector['refined_up'], 1e-4)
    # PAR looks at the network's input, enlarged.
    large = F.interpolate(images, (75, 110), mode='bilinear', align_corners=True)
    mask = pseudo_masks.label(large, cams.classes, [refined])
    assert (mask == torch.from_numpy(vector['labels'])).float().mean() >= 0.999


@pytest.fixture
def plus(golden, reference_clip, backbone):
    """The vector, the head, the images, and what both backbones give."""
    vector = golden('weclip_plus_80x112')
    head = fill(WeCLIPPlusHead(768, 21, dropout_ratio=0), reference_clip.fill_c)
    with torch.no_grad():
        head.conv_seg.weight *= float(vector['linear_pred_scale'])
        head.conv_seg.bias[0] += float(vector['bg_bias_add'])
    pixels = torch.from_numpy(vector['images']).permute(0, 3, 1, 2).float()
    mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    images = (pixels - mean) / std
    wave = 0.37 * np.arange(2 * 40 * 384) + float(vector['dino_phase'])
    tokens = torch.from_numpy(np.sin(wave).astype(np.float32)).reshape(2, 40, 384)
    output = backbone(images)
    dino = tokens.mT.unflatten(2, (5, 8))
    return vector, head, images, replace(output, maps=(dino, *output.maps))


def test_masks_of_weclip_plus(plus, pseudo_masks, names):
    vector, head, images, output = plus
    assert len(list(head.parameters())) == 50
    assert sum(p.numel() for p in head.parameters()) == 2_933_269
    fused = head.fused(output)
    close(fused[:, :256], vector['fts'], 2e-4)
    close(feature_affinity(fused), vector['attn_pred'], 1e-5)
    for found, name in zip(head.branches(fused), ('seg_clip', 'seg_dino')):
        close(found, vector[name], 5e-4)
    labels = torch.zeros(2, 20)
    keys = vector['keys'].tolist()
    first = int(vector['n_keys'][0])
    labels[0, keys[:first]] = labels[1, keys[first:]] = 1
    # The released code for VOC skips block 11, and its boxes are all of the image.
    maker = copy.copy(pseudo_masks)
    maker.cam_map, maker.box_threshold = -2, None
    cams = maker.tag_cams(output, labels, names)
    # Ours ascend, where the recorded ones are in the order of the XML.
    order = np.argsort([*keys[:first], *(20 + key for key in keys[first:])])
    close(torch.cat(cams.maps), vector['cam'][order], 1e-4)
    affinity = feature_affinity(fused.detach())
    scores = head.decode(fused).detach().softmax(dim=1)
    refined = maker.refined(cams, affinity, scores)
    close(maker.transition(cams, affinity), vector['trans_mat'], 1e-4)
    close(torch.cat(refined), vector['refined'][order], 1e-4)
    mask = maker(images, output, labels, names=names, affinity=affinity, scores=scores)
    expected = torch.from_numpy(vector['labels'])
    assert (mask == expected).float().mean() >= 0.999


def test_losses_of_weclip_plus(plus):
    vector, head, _, output = plus
    fused, expected = head.fused(output), torch.from_numpy(vector['labels']).long()
    head.trusts_prediction = True
    late = head.mask_losses(fused, expected)
    close(sum(late.values()), vector['late_total'], 0)
    head.trusts_prediction = False
    losses = head.mask_losses(fused, expected)
    close(losses['loss_affinity'], np.float32(0.1 * vector['aff_loss']), 0)
    total = sum(losses.values())
    close(total, vector['early_total'], 0)
    total.backward()
    gradients = {released_name(n): p.grad for n, p in head.named_parameters()}
    assert sorted(gradients) == sorted(vector['grad_names'].tolist())
    for name, norm in zip(vector['grad_names'].tolist(), vector['grad_norms']):
        assert float(gradients[name].norm()) == pytest.approx(norm, rel=1e-3), name
