"""Every registered CAM head keeps the contract; one without a recipe fails."""

import pytest
import torch

from wsss_mm.models.decode_heads import BaseCAMHead
from wsss_mm.models.structures import View, identity
from wsss_mm.models.testing import (
    HEAD_CHECKS,
    check_head,
    registered_heads,
    tiny_network,
)
from wsss_mm.registry import MODELS

PLAIN = dict(type='SegDataPreProcessor', size_divisor=1)
PAIR = dict(type='EquivariantViews', preprocessor=PLAIN, scale=0.5)
TILES = dict(type='PuzzleViews', preprocessor=PLAIN)
PCM = dict(
    type='PCMNeck',
    in_channels=(16, 32),
    in_indices=(2, 3),
    mid_channels=(4, 4),
    out_channels=8,
)
CAM = dict(type='CAMHead', in_channels=32)
SEAM = dict(type='SEAMHead', in_channels=32)
ERASING = dict(in_channels=32, channels=(6,))

TINY_CLIP = dict(
    type='CLIPVisionTransformer', embed_dims=32, num_layers=2, num_heads=2, img_size=64
)
TINY_TEXT = dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8)
CLIP_ES = dict(
    type='CLIPESHead',
    embed_dims=32,
    num_heads=2,
    output_dims=8,
    attention_layers=2,
    background_words=['sky', 'water'],
    text=dict(encoder=TINY_TEXT),
)

TINY_VIT = dict(
    type='AttentionViT', embed_dims=24, num_layers=2, num_heads=2, img_size=64
)

# What a head needs beside a thin ResNet-18, see `tiny_network`.
RECIPES = {
    'CLIPESHead': dict(
        decode_head=CLIP_ES,
        backbone=TINY_CLIP,
        test_cfg=dict(normalization='none', background_threshold=0.5),
    ),
    'AttentionCAMHead': dict(
        decode_head=dict(type='AttentionCAMHead', in_channels=24, attention_layers=2),
        backbone=TINY_VIT,
    ),
    'CAMHead': dict(decode_head=CAM),
    'SqrtCAMHead': dict(decode_head=dict(CAM, type='SqrtCAMHead')),
    'SEAMHead': dict(decode_head=SEAM, neck=PCM, data_preprocessor=PAIR),
    'PuzzleCAMHead': dict(
        decode_head=dict(CAM, type='PuzzleCAMHead'), data_preprocessor=TILES
    ),
    'AddedPuzzleHead': dict(
        decode_head=dict(type='AddedPuzzleHead', base=SEAM),
        neck=PCM,
        data_preprocessor=dict(TILES, preprocessor=PAIR),
    ),
    'ErasingHead': dict(decode_head=dict(ERASING, type='ErasingHead')),
    'CubicErasingHead': dict(decode_head=dict(ERASING, type='CubicErasingHead')),
    'AddedErasingHead': dict(
        decode_head=dict(
            ERASING, type='AddedErasingHead', base=SEAM, in_index=-2, channels=()
        ),
        neck=PCM,
        data_preprocessor=PAIR,
    ),
}


@pytest.mark.parametrize('check', HEAD_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize('name', sorted(registered_heads()))
def test_contract(name, check):
    assert name in RECIPES, f'{name} is registered: give the contract tester a recipe'
    check(RECIPES[name])


def test_every_recipe_is_of_a_registered_head():
    assert set(RECIPES) == set(registered_heads())


@pytest.fixture
def register():
    """Register a head for one test."""
    names = []

    def add(kind):
        MODELS.register_module(module=kind)
        names.append(kind.__name__)
        return kind

    yield add
    for name in names:
        MODELS.module_dict.pop(name)


class FixedHead(BaseCAMHead):
    """A head of somebody else's that needs no training and reads class names."""

    trainable = False

    def compute_cam(self, context, view='full'):
        names = self.names_of(context)
        maps = context.features[view][-1][:, : len(names)]
        scale = torch.tensor([float(len(name)) for name in names])
        return maps * scale[:, None, None]


class GradientHead(FixedHead):
    """One whose CAM is made of gradients with respect to the features."""

    needs_gradients = True

    def compute_cam(self, context, view='full'):
        maps = context.features[view][-1]
        assert maps.requires_grad
        weights = []
        for k in range(self.num_foreground):
            score = maps[:, k].square().mean(dim=(1, 2)).sum()
            (gradient,) = torch.autograd.grad(score, maps, retain_graph=True)
            weights.append(gradient.mean(dim=(2, 3)))
        return torch.einsum('cbd,bdhw->bchw', torch.stack(weights), maps)


class LocalGradientHead(FixedHead):
    """One that differentiates its own layers only."""

    def compute_cam(self, context, view='full'):
        with torch.enable_grad():
            maps = context.features[view][-1].detach().requires_grad_()
            score = maps[:, :3].square().sum()
            (gradient,) = torch.autograd.grad(score, maps)
        return (gradient * maps)[:, :3]


@pytest.mark.parametrize('kind', [FixedHead, GradientHead, LocalGradientHead])
def test_heads_of_the_next_generation(register, kind):
    register(kind)
    check_head(dict(decode_head=dict(type=kind.__name__)))


def test_a_head_that_reads_names_refuses_to_guess_them(register):
    register(FixedHead)
    network = tiny_network(dict(decode_head=dict(type='FixedHead'))).eval()
    network.dataset_meta = None
    images = torch.zeros(1, 3, 64, 64)
    context = network.look({'full': View(images, identity)}, image_labels=None)
    with pytest.raises(ValueError, match=r'reads the names of its 4 classes.*got 0'):
        network.decode_head.raw_cam(context)


class SilentHead(BaseCAMHead):
    """A loss whose key is not summed."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.conv = torch.nn.Conv2d(32, num_classes - 1, 1)

    def compute_cam(self, context, view='full'):
        return self.conv(context.features[view][-1])

    def loss(self, context):
        self.labels_of(context)
        return {'classification': self.raw_cam(context).square().mean()}


class WidestHead(SilentHead):
    """A CAM that depends on the other images of its batch."""

    def loss(self, context):
        return {'loss': self.raw_cam(context).square().mean()}

    def predict(self, context):
        cam, logits = super().predict(context)
        return cam + cam.mean(), logits


class StillHead(SilentHead):
    """A weight that nothing trains."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.spare = torch.nn.Parameter(torch.ones(3))

    def loss(self, context):
        return {'loss': self.raw_cam(context).square().mean()}


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        (SilentHead, 'classification is not summed'),
        (WidestHead, 'not close'),
        (StillHead, "does not move .'spare'"),
    ],
)
def test_the_tester_finds_what_is_wrong(register, kind, message):
    register(kind)
    with pytest.raises(AssertionError, match=message):
        check_head(dict(decode_head=dict(type=kind.__name__)))
