"""Seed scores: loaded, cropped and mirrored with their image, made into a seed."""

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

import wsss_mm.datasets  # noqa: F401
from wsss_mm.datasets.transforms import LoadSeedScores, SeedFromScores, ThinSeed
from wsss_mm.functional import confident_seed
from wsss_mm.io.score_file import save_scores


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)  # noqa: NPY002
    init_default_scope('mmseg')


@pytest.fixture
def scores():
    return np.random.default_rng(0).random((2, 3, 20, 30)).astype(np.float16)


@pytest.fixture
def results(tmp_path, scores):
    save_scores(tmp_path / 'seeds' / 'sub' / 'pond.npz', [1, 4], *scores)
    image = np.random.default_rng(1).integers(1, 256, (20, 30, 3)).astype(np.uint8)
    return dict(
        img=image,
        img_id='sub/pond',
        seed_scores_path=str(tmp_path / 'seeds/sub/pond.npz'),
        img_path='pond.jpg',
        img_shape=(20, 30),
        ori_shape=(20, 30),
        image_labels=np.eye(5, dtype=np.float32)[1] + np.eye(5, dtype=np.float32)[4],
        seg_fields=[],
    )


def pipeline(tmp_path, crop, *, flip=0.0, cell=4):
    return Compose(
        [
            dict(type='LoadSeedScores'),
            dict(type='RandomCropPad', crop_size=crop),
            dict(type='NormalizeFloat'),
            dict(type='RandomFlip', prob=flip),
            dict(type='SeedFromScores', cell=cell),
            dict(type='PackWSSSInputs'),
        ]
    )


def test_scores_are_loaded_as_written(tmp_path, results, scores):
    done = LoadSeedScores()(results)
    found = done['seed_scores'].transpose(2, 0, 1)
    np.testing.assert_array_equal(found, np.concatenate(list(scores)))
    assert done['seg_fields'] == ['seed_scores']


def test_the_whole_image_gives_the_function_s_seed(tmp_path, results, scores):
    sample = pipeline(tmp_path, (20, 30), cell=5)(results)['data_samples']
    expected = confident_seed(*scores.astype(np.float32), cell=5)
    assert sample.gt_affinity_seed.data.dtype == torch.int64
    np.testing.assert_array_equal(sample.gt_affinity_seed.data[0], expected)


@pytest.mark.parametrize('flip', [0.0, 1.0])
def test_image_and_seed_stay_together(tmp_path, results, scores, flip):
    """Find the padded window by its image, then cut the scores at the same place."""
    image = results['img'].copy()
    packed = pipeline(tmp_path, (32, 16), flip=flip)(results)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    cut = packed['inputs'].numpy().transpose(1, 2, 0) * std + mean
    seed = packed['data_samples'].gt_affinity_seed.data[0].numpy()
    if flip:
        cut, seed = cut[:, ::-1], seed[:, ::-1]
    hits = []
    for top in range(13):
        for left in range(15):
            canvas = np.zeros((32, 16, 3))
            canvas[top : top + 20] = image[:, left : left + 16]
            if np.abs(canvas - cut).max() < 1e-3:
                around = np.zeros((2, 3, 32, 16), np.float32)
                around[:, :, top : top + 20] = scores[..., left : left + 16]
                hits.append(np.array_equal(confident_seed(*around, cell=4), seed))
    assert hits == [True]


def test_padding_is_black_before_the_normalisation(tmp_path, results):
    packed = pipeline(tmp_path, (20, 80), cell=8)(results)
    dark = torch.tensor([-2.118, -2.036, -1.804])
    empty = (packed['inputs'] - dark[:, None, None]).abs().amax(0) < 1e-3
    assert empty.sum() == 20 * 50
    seed = packed['data_samples'].gt_affinity_seed.data[0]
    assert (seed[:, empty.view(20, 10, 8).all(2).all(0)] == 255).all()


def test_scores_of_another_image_are_refused(tmp_path, results):
    results['ori_shape'] = (30, 20)
    with pytest.raises(ValueError, match=r'pond\.npz have 30x20 .*pond\.jpg 20x30'):
        LoadSeedScores()(results)


def test_scores_of_other_classes_are_refused(tmp_path, results):
    results['image_labels'] = np.ones(3, np.float32)
    with pytest.raises(ValueError, match='class 4, but there are only 3'):
        LoadSeedScores()(results)


def test_missing_scores_are_named(tmp_path, results):
    results['seed_scores_path'] = str(tmp_path / 'sub/pond.npz')
    with pytest.raises(ValueError, match=r'no seed scores .*sub/pond\.npz'):
        LoadSeedScores()(results)
    del results['seed_scores_path']
    with pytest.raises(ValueError, match=r'pond\.jpg has no seed scores.*data_prefix'):
        LoadSeedScores()(results)


def test_a_cell_without_pixels_is_refused():
    with pytest.raises(ValueError, match='cell=0; give'):
        SeedFromScores(cell=0)
    assert repr(SeedFromScores(cell=4)) == 'SeedFromScores(cell=4)'
    assert repr(LoadSeedScores()) == 'LoadSeedScores()'


@pytest.fixture
def square(tmp_path):
    """An image whose left half is class 1, marked by its colour, and its seed."""
    labels = np.zeros((40, 60), np.int64)
    labels[:, :30] = 1
    scores = np.stack([labels == 0, labels == 1]).astype(np.float32)
    save_scores(tmp_path / 'seeds' / 'sub' / 'pond.npz', [1], scores, scores)
    image = np.repeat((labels * 200)[..., None], 3, axis=2).astype(np.uint8)
    return dict(
        img=image,
        img_id='sub/pond',
        seed_scores_path=str(tmp_path / 'seeds/sub/pond.npz'),
        img_path='pond.jpg',
        img_shape=(40, 60),
        ori_shape=(40, 60),
        image_labels=np.eye(5, dtype=np.float32)[1],
        seg_fields=[],
    )


@pytest.mark.parametrize('flip', [0.0, 1.0])
def test_labels_of_pixels_follow_resizing_mirror_and_crop(tmp_path, square, flip):
    steps = [
        dict(type='LoadSeedScores'),
        dict(type='SeedFromScores', cell=1),
        dict(type='RandomResizeLong', low=90, high=90),
        dict(type='RandomFlip', prob=flip),
        dict(type='RandomCropPad', crop_size=(80, 96), img_pad=100),
        dict(type='ThinSeed', cell=4),
    ]
    done = Compose(steps)(square)
    seed = done['gt_affinity_seed']
    assert (seed.shape, seed.dtype) == ((20, 24), np.uint8)
    # The colour at the middle of a cell tells its label.
    colour = done['img'][2::4, 2::4, 0].astype(int)
    assert (seed[colour == 100] == 255).all()
    assert (seed[colour > 180] == 1).all()
    assert (seed[colour < 20] == 0).all()
    assert all((seed == label).sum() > 50 for label in (0, 1, 255))


def test_a_thin_seed_takes_the_middle():
    seed = np.arange(64, dtype=np.uint8).reshape(8, 8)
    done = ThinSeed(cell=4)(dict(gt_affinity_seed=seed))
    assert done['gt_affinity_seed'].tolist() == [[18, 22], [50, 54]]
    with pytest.raises(ValueError, match='cell=0; give'):
        ThinSeed(cell=0)
    assert repr(ThinSeed()) == 'ThinSeed(cell=4)'
