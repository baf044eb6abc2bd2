"""CAMs of a transformer lie where the image is, whatever its size."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import PatchEmbed
from mmengine.config import ConfigDict
from mmpretrain.models import SwinTransformer, VisionTransformer
from mmseg.models import ResNet
from mmseg.structures import SegDataSample
from torch import nn

from wsss_mm.models.backbones import CLIPVisionTransformer
from wsss_mm.models.decode_heads import BaseCAMHead
from wsss_mm.models.segmentors import CAMTTAModel
from wsss_mm.models.segmentors.patches import pad_to_patches, patch_sides
from wsss_mm.models.testing import check_head
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

PATCH = 16


class PatchMeans(nn.Module):
    """A backbone whose cells are the mean colours of patches, padded as a ViT's."""

    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed(3, 3, kernel_size=PATCH, stride=PATCH)

    def forward(self, images):
        return (F.avg_pool2d(self.patch_embed.adaptive_padding(images), PATCH),)


class ColourHead(BaseCAMHead):
    """A CAM that is its features."""

    def compute_cam(self, context, view='full'):
        return context.features[view][-1][:, : self.num_foreground]


@pytest.fixture
def network():
    """Columns and rows as class 0 and 1."""
    for kind in (PatchMeans, ColourHead):
        MODELS.register_module(module=kind)
    build = {
        'type': 'CAMEncoderDecoder',
        'data_preprocessor': dict(type='SegDataPreProcessor', size_divisor=1),
        'backbone': dict(type='PatchMeans'),
        'decode_head': dict(type='ColourHead', num_classes=3),
        'test_cfg': dict(normalization='max', background_threshold=0.2),
    }
    yield lambda **changes: MODELS.build(ConfigDict(copy.deepcopy(build | changes)))
    for kind in (PatchMeans, ColourHead):
        MODELS.module_dict.pop(kind.__name__)


def ramps(height, width):
    """An image whose first two colours are column and row of a pixel's centre."""
    rows = torch.arange(height)[:, None].expand(height, width) + 0.5
    columns = torch.arange(width)[None].expand(height, width) + 0.5
    return torch.stack([columns, rows, torch.zeros(height, width)])


def data(image, file_size=None, **meta):
    size = tuple(image.shape[1:])
    meta = dict(img_path='a.jpg', ori_shape=file_size or size, img_shape=size, **meta)
    sample = SegDataSample(metainfo=meta)
    sample.image_labels = torch.ones(2)
    return dict(inputs=[image], data_samples=[sample])


def assert_in_place(maps, scale=1):
    """Every pixel of the CAM says where it is, but for the outermost cells."""
    height, width = maps.shape[-2:]
    expected = ramps(height, width) / scale
    # The mean of a cell that is cut off, and what is beyond the last centre, is not it.
    inner = slice(8 * scale, (height // scale - 28) * scale)
    inside = slice(8 * scale, (width // scale - 28) * scale)
    found = maps[:, inner, inside]
    assert min(found.shape[1:]) >= 32
    assert (found - expected[:2, inner, inside]).abs().max() < 0.6


@pytest.mark.parametrize('size', [(75, 101), (80, 112), (81, 113)])
def test_a_cam_lies_on_its_image(network, size):
    (sample,) = network().test_step(data(ramps(*size)))
    assert_in_place(sample.seg_logits.maps)


def test_and_so_it_does_on_a_larger_file(network):
    (sample,) = network().test_step(data(ramps(75, 101), file_size=(150, 202)))
    assert_in_place(sample.seg_logits.maps, scale=2)


def test_and_mirrored(network):
    mirror = dict(flip=True, flip_direction='horizontal')
    (sample,) = network().test_step(data(ramps(75, 101).flip(-1), **mirror))
    maps = sample.seg_logits.maps
    assert (maps[0, 20:40, 40:93] - ramps(75, 101)[0, 20:40, 40:93]).abs().max() < 0.6


def test_and_with_its_mirror(network):
    model = CAMTTAModel(module=network())
    plain, flipped = data(ramps(75, 101)), data(ramps(75, 101).flip(-1))
    mirror = dict(flip=True, flip_direction='horizontal')
    flipped['data_samples'][0].set_metainfo(mirror)
    views = {key: [plain[key], flipped[key]] for key in plain}
    (sample,) = model.test_step(views)
    found = sample.seg_logits.maps[0, 20:40, 40:73] / 2
    assert (found - ramps(75, 101)[0, 20:40, 40:73]).abs().max() < 0.6


def test_and_where_the_preprocessor_pads(network):
    padding = dict(
        type='SegDataPreProcessor', size_divisor=1, test_cfg=dict(size_divisor=32)
    )
    (sample,) = network(data_preprocessor=padding).test_step(data(ramps(75, 101)))
    assert_in_place(sample.seg_logits.maps)


def test_a_view_that_does_not_fit_is_not_trained_on(network):
    batch = data(ramps(75, 101))
    model = network()
    with pytest.raises(InputError, match=r"view 'full' has 75 x 101 .* of 16 x 16;"):
        model.loss(**model.data_preprocessor(batch, True))


def test_patches_of_backbones():
    small = dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24)
    vit = VisionTransformer(small, img_size=28, patch_size=14, out_type='featmap')
    assert patch_sides(vit) == (14, 14)
    swin = dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1])
    assert patch_sides(SwinTransformer(swin)) == (32, 32)
    assert patch_sides(ResNet(18, stem_channels=4, base_channels=4)) == (1, 1)
    clip = CLIPVisionTransformer(embed_dims=16, num_layers=1, num_heads=2)
    assert patch_sides(clip) == (1, 1)
    images = torch.rand(1, 3, 75, 101)
    with torch.no_grad():
        vit.eval()
        torch.testing.assert_close(
            vit(pad_to_patches(images, (14, 14)))[0], vit(images)[0]
        )


def test_heads_on_a_vision_transformer_keep_the_contract():
    small = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=24)
    vit = dict(
        type='mmpretrain.VisionTransformer',
        arch=small,
        img_size=64,
        patch_size=16,
        out_type='featmap',
    )
    check_head(dict(backbone=vit, decode_head=dict(type='CAMHead', in_channels=24)))
