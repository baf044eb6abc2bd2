"""SeeNet's full recipe: its inputs, its rates, its sizes."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample
from PIL import Image

import wsss_mm.models  # noqa: F401
from wsss_mm.datasets.transforms.colour import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalize_image,
)
from wsss_mm.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS


@pytest.fixture(scope='module')
def recipe(root):
    init_default_scope('mmseg')
    return Config.fromfile(root / 'configs/seenet/seenet_vgg16_voc.py')


@pytest.fixture(scope='module')
def network(recipe):
    with torch.device('meta'):
        return MODELS.build({**recipe.model, 'backbone': dict(type='VGG16SeeNet')})


def test_the_network_sees_bgr_without_the_mean(recipe):
    preprocess = MODELS.build(recipe.model.data_preprocessor)
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    normalised = normalize_image(image, IMAGENET_MEAN, IMAGENET_STD)
    inputs = torch.from_numpy(normalised).permute(2, 0, 1)
    sample = SegDataSample(metainfo=dict(img_shape=(8, 9)))
    data = preprocess(dict(inputs=[inputs], data_samples=[sample]), True)
    blue_first = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float()
    mean = torch.tensor([104.007, 116.669, 122.679])[:, None, None]
    torch.testing.assert_close(data['inputs'][0], blue_first - mean, rtol=0, atol=1e-4)


def test_rates_and_decay(recipe, network):
    optimizer = build_optim_wrapper(network, recipe.optim_wrapper).optimizer
    names = {id(p): name for name, p in network.named_parameters()}
    seen = 0
    for group in optimizer.param_groups:
        for parameter in group['params']:
            bias = names[id(parameter)].endswith('bias')
            assert group['lr'] == (2e-3 if bias else 1e-3)
            assert group['weight_decay'] == (0 if bias else 2e-4)
            seen += 1
    # 13 convolutions, and two branches of three.
    assert seen == len(names) == 2 * (13 + 6)


def test_the_rate_falls_after_15000_steps(recipe):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1e-3)
    (settings,) = recipe.param_scheduler
    schedule = PARAM_SCHEDULERS.build(
        {**settings, 'milestones': [15], 'end': 25},
        default_args=dict(optimizer=optimizer),
    )
    rates = []
    for _ in range(25):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-3] * 15 + [1e-4] * 10)
    assert (settings.milestones, recipe.train_cfg.max_iters) == ([15000], 25000)
    assert recipe.train_dataloader.batch_size == 16


def test_branches_are_the_deploy_networks(network):
    shapes = {
        name: tuple(p.shape) for name, p in network.decode_head.named_parameters()
    }
    for branch in ('branch_a', 'branch_b'):
        assert shapes[f'{branch}.convs.0.weight'] == (512, 512, 3, 3)
        assert shapes[f'{branch}.convs.1.weight'] == (512, 512, 3, 3)
        assert shapes[f'{branch}.score.weight'] == (20, 512, 1, 1)
        assert shapes[f'{branch}.score.bias'] == (20,)
    assert network.decode_head.branch_a.dropout.p == 0.5
    assert network.decode_head.branch_b.dropout.p == 0.0


def test_images_become_squares_and_keep_their_original_size(recipe, tmp_path):
    Image.new('RGB', (50, 30), (10, 200, 30)).save(tmp_path / 'a.png')
    pipeline = recipe.test_dataloader.dataset.pipeline
    steps = [TRANSFORMS.build(s) for s in pipeline if s.type != 'LoadEvaluationMask']
    data = dict(
        img_path=str(tmp_path / 'a.png'), image_labels=np.eye(20, dtype=np.float32)[3]
    )
    for step in steps:
        data = step(data)
    assert data['inputs'].shape == (3, 256, 256)
    assert tuple(data['data_samples'].ori_shape[:2]) == (30, 50)


def test_an_image_and_its_mirror_are_fused(recipe, tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / 'a.png')
    data = dict(
        img_path=str(tmp_path / 'a.png'),
        image_labels=np.eye(20, dtype=np.float32)[3],
        seg_map_path=None,
        seg_fields=[],
    )
    for step in recipe.tta_pipeline:
        data = TRANSFORMS.build(step)(data)
    plain, mirrored = data['inputs']
    assert plain.shape == (3, 256, 256)
    torch.testing.assert_close(mirrored, plain.flip(-1))
    samples = data['data_samples']
    assert [sample.metainfo['flip'] for sample in samples] == [False, True]
    assert all(tuple(sample.ori_shape[:2]) == (30, 50) for sample in samples)
    assert recipe.tta_model.type == 'MaxCAMTTAModel'
