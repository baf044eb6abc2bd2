import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image, ImageEnhance
from torchvision.transforms import ColorJitter

from wsss_mm.datasets.transforms import (
    ColorJitterPIL,
    NormalizeFloat,
    PackWSSSInputs,
    PILResize,
    PILResizeToMultiple,
    RandomCropPad,
    RandomRescale,
    RandomResizeLong,
)
from wsss_mm.datasets.transforms.colour import IMAGENET_MEAN, IMAGENET_STD
from wsss_mm.datasets.transforms.geometry import long_side_size
from wsss_mm.datasets.transforms.loading import map_labels
from wsss_mm.registry import TRANSFORMS


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30, 45, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)  # noqa: NPY002
    init_default_scope('mmseg')


def results_of(image, **more):
    shape = image.shape[:2]
    return dict(img=image, img_shape=shape, ori_shape=shape, **more)


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.5, 2.0])
def test_resizing_is_pillow_bicubic_rounded_half_to_even(image, scale):
    image = image[:29, :45]
    results = PILResize(scale_factor=scale)(results_of(image))
    size = (round(45 * scale), round(29 * scale))
    expected = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(results['img'], np.array(expected))
    assert results['img_shape'] == results['img'].shape[:2]
    assert results['ori_shape'] == (29, 45)
    assert results['scale_factor'] == (size[0] / 45, size[1] / 29)


def test_half_of_odd_sides_rounds_to_even(image):
    assert PILResize(0.5)(results_of(image[:29, :45]))['img_shape'] == (14, 22)
    assert PILResize(0.5)(results_of(image[:27, :43]))['img_shape'] == (14, 22)


@pytest.mark.parametrize('shape', [(30, 45), (45, 30), (20, 20)])
def test_the_long_side_is_drawn_from_the_closed_range(image, shape):
    small = np.zeros((*shape, 3), np.uint8)
    seen = set()
    for _ in range(60):
        done = RandomResizeLong(40, 43)(results_of(small))
        height, width = done['img'].shape[:2]
        long = max(height, width)
        seen.add(long)
        factor = long / max(shape)
        assert (height, width) == (round(shape[0] * factor), round(shape[1] * factor))
    assert seen == {40, 41, 42, 43}


def test_two_ways_to_round_a_long_side(image):
    """Oracles: one line each of AffinityNet's and of Puzzle-CAM's code."""
    differing = 0
    for height, width in [(375, 500), (333, 500), (500, 334), (281, 500), (20, 20)]:
        for target in range(320, 641):
            first = long_side_size((height, width), target, by_factor=False)
            if width < height:
                scale = target / height
                assert first == (round(width * target / height), target)
            else:
                scale = target / width
                assert first == (target, round(height * target / width))
            second = long_side_size((height, width), target, by_factor=True)
            assert second == (round(width * scale), round(height * scale))
            differing += first != second
    assert 0 < differing < 20
    assert long_side_size((1, 900), 320, by_factor=True) == (320, 1)
    # The transform follows its setting.
    size = next(
        (shape, target)
        for shape in [(375, 500), (333, 500), (500, 334), (281, 500)]
        for target in range(320, 641)
        if long_side_size(shape, target, by_factor=True)
        != long_side_size(shape, target, by_factor=False)
    )
    shapes = [
        RandomResizeLong(size[1], size[1], by_factor=by_factor)(
            results_of(np.zeros((*size[0], 3), np.uint8))
        )['img_shape']
        for by_factor in (False, True)
    ]
    assert shapes[0] != shapes[1]


def test_labels_follow_a_long_side_without_interpolation(image):
    mask = np.random.default_rng(1).choice([0, 3, 255], (30, 45)).astype(np.uint8)
    before = mask.copy()
    done = RandomResizeLong(64, 64)(
        results_of(image, gt_seg_map=mask, seg_fields=['gt_seg_map'])
    )
    nearest = Image.fromarray(mask).resize((64, 43), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(done['gt_seg_map'], np.array(nearest))
    bicubic = Image.fromarray(image).resize((64, 43), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(done['img'], np.array(bicubic))
    np.testing.assert_array_equal(mask, before)


def test_a_mask_to_evaluate_with_stays(image):
    mask = np.zeros((30, 45), np.uint8)
    done = PILResize(2)(results_of(image, gt_seg_map=mask, seg_fields=[]))
    assert done['gt_seg_map'] is mask


def test_scores_are_not_resized(image):
    results = results_of(image, seed_scores=np.zeros((30, 45, 4), np.float32))
    with pytest.raises(ValueError, match='put SeedFromScores before'):
        RandomResizeLong(64, 64)({**results, 'seg_fields': ['seed_scores']})


@pytest.mark.parametrize('shape', [(30, 45), (201, 77)])
def test_a_random_factor_of_the_image_s_own_size(shape):
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    mask = rng.choice([0, 3, 255], shape).astype(np.uint8)
    factors = []
    for seed in range(20):
        np.random.seed(seed)  # noqa: NPY002
        done = RandomRescale(0.5, 1.5)(
            results_of(image, gt_seg_map=mask, seg_fields=['gt_seg_map'])
        )
        np.random.seed(seed)  # noqa: NPY002
        factor = np.random.uniform(0.5, 1.5)  # noqa: NPY002
        size = (round(shape[1] * factor), round(shape[0] * factor))
        assert done['img_shape'] == size[::-1]
        bicubic = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        np.testing.assert_array_equal(done['img'], bicubic)
        nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(done['gt_seg_map'], nearest)
        factors.append(factor)
    assert min(factors) < 0.7
    assert max(factors) > 1.3


def test_random_rescaling_with_another_filter(image):
    step = RandomRescale(0.5, 0.5, interpolation='bilinear', backend='pillow')
    done = step(results_of(image))
    expected = Image.fromarray(image).resize((22, 15), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(done['img'], np.array(expected))


@pytest.mark.parametrize('shape', [(1, 1), (8000, 30), (30, 8000)])
def test_extreme_images_survive_training_and_inference(shape):
    image = np.full((*shape, 3), 200, np.uint8)
    pipeline = (RandomResizeLong(48, 64), ColorJitterPIL(), NormalizeFloat())
    results = results_of(image, image_labels=np.ones(2, np.float32))
    for step in (*pipeline, RandomCropPad(32), PackWSSSInputs()):
        results = step(results)
    assert results['inputs'].shape == (3, 32, 32)
    assert PILResize(0.5)(results_of(image))['img'].min() >= 199


def test_float_images_are_not_resized(image):
    with pytest.raises(ValueError, match='put NormalizeFloat behind'):
        PILResize(0.5)(results_of(image.astype(np.float32)))


@pytest.mark.parametrize('crop', [20, (20, 40), (60, 40), (30, 45), 100])
def test_the_crop_is_a_window_of_the_padded_image(image, crop):
    """Oracle: pad generously, then look for the window at every legal offset."""
    sides = (crop, crop) if isinstance(crop, int) else crop
    mask = np.arange(30 * 45).reshape(30, 45) % 200
    done = RandomCropPad(crop, img_pad=7, seg_pad=255)(
        results_of(image, gt_seg_map=mask.astype(np.uint8))
    )
    assert done['img_shape'] == sides == done['img'].shape[:2]
    around = 100
    wide = np.pad(image, ((around,) * 2, (around,) * 2, (0, 0)), constant_values=7)
    labels = np.pad(mask, around, constant_values=255)
    hits = []
    for top in range(min(30 - sides[0], 0), max(30 - sides[0], 0) + 1):
        for left in range(min(45 - sides[1], 0), max(45 - sides[1], 0) + 1):
            y, x = top + around, left + around
            cut = np.s_[y : y + sides[0], x : x + sides[1]]
            if np.array_equal(wide[cut], done['img']):
                hits.append(np.array_equal(labels[cut], done['gt_seg_map']))
    assert hits == [True]


def test_every_channel_may_have_its_padding(image):
    done = RandomCropPad((50, 45), img_pad=[1, 2.5, -3])(
        results_of(image.astype(np.float32))
    )
    rows = (done['img'] == np.array([1, 2.5, -3])).all(axis=(1, 2))
    assert rows.sum() == 20


def test_every_offset_of_the_crop_occurs():
    row = np.arange(5, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    cuts = {
        tuple(RandomCropPad((1, 3))(results_of(row))['img'][0, :, 0]) for _ in range(99)
    }
    assert cuts == {(0, 1, 2), (1, 2, 3), (2, 3, 4)}
    pads = {
        tuple(RandomCropPad((1, 7), img_pad=9)(results_of(row))['img'][0, :, 0])
        for _ in range(99)
    }
    assert pads == {
        (9, 9, 0, 1, 2, 3, 4),
        (9, 0, 1, 2, 3, 4, 9),
        (0, 1, 2, 3, 4, 9, 9),
    }


def test_inputs_are_left_alone(image):
    before = image.copy()
    for step in (PILResize(2), ColorJitterPIL(), NormalizeFloat(), RandomCropPad(50)):
        step(results_of(image))
    np.testing.assert_array_equal(image, before)


def test_normalisation(image):
    done = NormalizeFloat()(results_of(image))['img']
    assert done.dtype == np.float32
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(done, (image / 255 - mean) / std, atol=1e-6)
    np.testing.assert_allclose(np.array(IMAGENET_MEAN), mean * 255)
    np.testing.assert_allclose(np.array(IMAGENET_STD), std * 255)


def test_no_jitter_changes_nothing(image):
    still = ColorJitterPIL(brightness=0, contrast=0, saturation=0, hue=0)
    np.testing.assert_array_equal(still(results_of(image))['img'], image)


def test_jitter_differs_and_follows_the_seed(image):
    first = ColorJitterPIL()(results_of(image))['img']
    second = ColorJitterPIL()(results_of(image))['img']
    np.random.seed(0)  # noqa: NPY002
    again = ColorJitterPIL()(results_of(image))['img']
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()


def test_the_range_of_brightness():
    grey = np.full((4, 4, 3), 100, np.uint8)
    jitter = ColorJitterPIL(brightness=0.3, contrast=0, saturation=0, hue=0)
    values = [jitter(results_of(grey))['img'][0, 0, 0] for _ in range(300)]
    assert 69 <= min(values) < 75
    assert 125 < max(values) <= 130


def enhanced(image, draws):
    """What Pillow makes of an image: every factor in the order drawn."""
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for number, factor in draws:
        if number < 3:
            image = kinds[number](image).enhance(factor)
            continue
        hue, saturation, value = image.convert('HSV').split()
        turned = (np.array(hue, dtype=np.int64) + int(factor * 255)) % 256
        hue = Image.fromarray(turned.astype(np.uint8))
        image = Image.merge('HSV', (hue, saturation, value)).convert('RGB')
    return np.array(image)


@pytest.mark.parametrize('seed', range(8))
def test_jitter_is_pillow_s_and_that_of_torchvision(image, seed, monkeypatch):
    np.random.seed(seed)  # noqa: NPY002
    order = [int(i) for i in np.random.permutation(4)]  # noqa: NPY002
    ranges = [(0.7, 1.3)] * 3 + [(-0.1, 0.1)]
    draws = [(i, np.random.uniform(*ranges[i])) for i in order]  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    found = ColorJitterPIL()(results_of(image))['img']
    np.testing.assert_array_equal(found, enhanced(Image.fromarray(image), draws))
    factors = dict(draws)
    drawn = (torch.tensor(order), *(factors[i] for i in range(4)))
    monkeypatch.setattr(ColorJitter, 'get_params', lambda *_: drawn)
    reference = ColorJitter(0.3, 0.3, 0.3, 0.1)(Image.fromarray(image))
    np.testing.assert_array_equal(found, np.array(reference))


def test_labels_are_mapped_at_once_not_one_after_the_other():
    mask = np.array([[0, 1, 2, 255]], np.uint8)
    assert map_labels(mask, {0: 0, 1: 2, 2: 255}).tolist() == [[0, 2, 255, 255]]
    assert map_labels(mask, None).tolist() == mask.tolist()


def test_packing_adds_tags_and_id(image):
    labels = np.array([0, 1, 0], np.float32)
    results = results_of(image, image_labels=labels, img_id='a/b', img_path='a/b.jpg')
    packed = PackWSSSInputs()(results)
    sample = packed['data_samples']
    assert torch.equal(packed['inputs'], torch.from_numpy(image).permute(2, 0, 1))
    assert sample.image_labels.dtype == torch.float32
    assert sample.image_labels.tolist() == [0, 1, 0]
    assert (sample.img_id, sample.img_path) == ('a/b', 'a/b.jpg')
    assert 'image_labels' not in PackWSSSInputs()(results_of(image))['data_samples']
    sample.image_labels[0] = 1
    assert labels[0] == 0


@pytest.mark.parametrize(
    'config, match',
    [
        (dict(type='PILResize', scale_factor=0), 'above 0'),
        (dict(type='PILResizeToMultiple', divisor=0), 'above 0'),
        (dict(type='PILResizeToMultiple', divisor=1.5), 'above 0'),
        (dict(type='RandomResizeLong', low=9, high=8), 'low <= high'),
        (dict(type='RandomResizeLong', low=0, high=8), 'low <= high'),
        (dict(type='RandomRescale', low=0, high=1), '0 < low <= high'),
        (dict(type='RandomRescale', low=1.5, high=1), '0 < low <= high'),
        (dict(type='RandomCropPad', crop_size=0), 'at least 1'),
        (dict(type='ColorJitterPIL', contrast=1.5), 'contrast=1.5; give'),
        (dict(type='ColorJitterPIL', hue=0.6), 'hue=0.6; give'),
        (dict(type='NormalizeFloat', std=(1, 0, 1)), 'every deviation'),
    ],
)
def test_wrong_settings_are_refused(config, match):
    with pytest.raises(ValueError, match=match):
        TRANSFORMS.build(config)


@pytest.mark.parametrize('size, wanted', [((75, 100), (80, 112)), ((32, 48), (32, 48))])
def test_sides_become_whole_patches(size, wanted):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    done = PILResizeToMultiple(16)(results_of(image))
    assert done['img_shape'] == wanted
    (height, width), (old_height, old_width) = wanted, size
    assert done['scale_factor'] == (width / old_width, height / old_height)
    resized = Image.fromarray(image).resize(wanted[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(done['img'], np.array(resized))
    assert repr(PILResizeToMultiple(16)) == 'PILResizeToMultiple(divisor=16)'
