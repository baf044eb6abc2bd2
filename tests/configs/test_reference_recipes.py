"""What the full recipes share with the released code they follow, in numbers."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample
from PIL import Image

import wsss_mm.datasets  # noqa: F401
from wsss_mm.registry import MODELS


@pytest.fixture
def load(root):
    init_default_scope('mmseg')
    return lambda name: Config.fromfile(root / f'configs/{name}.py')


def steps_of(cfg):
    return {step.type: step for step in cfg.train_dataloader.dataset.pipeline}


def test_the_padding_of_vgg_s_crops_is_its_own_mean(load, tmp_path):
    """AffinityNet pads with 0 behind the mean of its network, not of ImageNet."""
    cfg = load('affinitynet/affinitynet_vgg16_voc')
    Image.new('RGB', (60, 40), (255, 0, 9)).save(tmp_path / 'a.png')
    pipeline = Compose(cfg.train_dataloader.dataset.pipeline)
    item = pipeline(dict(img_path=str(tmp_path / 'a.png')))
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    sample = SegDataSample(metainfo=dict(img_shape=(448, 448)))
    data = dict(inputs=[item['inputs']], data_samples=[sample])
    inputs = preprocessor(data, True)['inputs'][0]
    # A long side of 256 to 512 pixels fills less than the height of the crop.
    padded = (inputs == 0).all(dim=0)
    assert padded.all(dim=1).sum() > 448 - 512 * 40 / 60 - 1
    assert not padded.all()
    # Elsewhere the colour without the mean, up to the jitter; blue first.
    assert inputs[:, ~padded].abs().amax() <= 256


@pytest.mark.parametrize(
    'name',
    [
        'puzzle_cam/puzzle_cam_r50_voc',
        'puzzle_cam/puzzle_cam_r50_coco',
        'puzzle_cam/puzzle_cam_r50_voc_affinity',
        'puzzle_cam/puzzle_cam_resnest101_voc_deeplabv3plus',
        'cam/cam_r50_voc',
    ],
)
def test_puzzle_cam_and_irn_round_sides_by_their_factor(load, name):
    assert steps_of(load(name))['RandomResizeLong'].by_factor is True


@pytest.mark.parametrize(
    'name', ['seam/seam_r38_voc', 'affinitynet/affinitynet_r38_voc']
)
def test_seam_and_affinitynet_divide_last(load, name):
    assert 'by_factor' not in steps_of(load(name))['RandomResizeLong']


@pytest.mark.parametrize(
    'name', ['seam/seam_r38_voc_deeplabv1', 'affinitynet/affinitynet_r38_voc_deeplabv1']
)
def test_deeplabv1_rescales_by_a_factor_of_the_image_s_own_size(load, name):
    steps = steps_of(load(name))
    assert steps['RandomRescale'] == dict(type='RandomRescale', low=0.5, high=1.5)
    assert 'RandomResize' not in steps


def test_puzzle_cam_s_segmenter_sees_images_that_pillow_resized(load, tmp_path):
    cfg = load('puzzle_cam/puzzle_cam_resnest101_voc_deeplabv3plus')
    steps = steps_of(cfg)
    assert (steps['RandomResizeLong'].low, steps['RandomResizeLong'].high) == (
        256,
        1024,
    )
    pixels = np.random.default_rng(0).integers(0, 256, (41, 63, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    views = Compose(cfg.tta_pipeline)(dict(img_path=str(tmp_path / 'a.png')))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for number, scale in enumerate((0.5, 1.0, 1.5, 2.0)):
        size = (round(63 * scale), round(41 * scale))
        resized = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        expected = (np.array(resized) / 255 - mean) / std
        plain, mirrored = views['inputs'][2 * number : 2 * number + 2]
        np.testing.assert_allclose(plain.permute(1, 2, 0), expected, atol=1e-5)
        assert torch.equal(mirrored, plain.flip(-1))
