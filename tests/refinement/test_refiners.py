import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from PIL import Image

from wsss_mm.functional import (
    confident_labels,
    confident_seed,
    pamr,
    transition_matrix,
)
from wsss_mm.functional.dense_crf import (
    CRF_PARAMETERS,
    dense_crf,
    label_unary,
    soft_unary,
)
from wsss_mm.io.cam_file import save_cam
from wsss_mm.refinement import (
    ConfidentTrainingScores,
    DenseCRFRefiner,
    EdgeAffinity,
    EdgeWalkRefiner,
    LabelCRFRefiner,
    LocalAffinity,
    PAMRRefiner,
    PowerBackground,
    RandomWalkRefiner,
    Seed,
    SeedFiles,
    ThresholdBackground,
    build_chain,
    refine,
    resolve_steps,
    seed_mask,
)

OFFSETS = ((0, 1), (1, 0))


@pytest.fixture
def seed():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 14, 3), dtype=np.uint8)
    scores = rng.random((3, 9, 14)).astype(np.float32)
    weights = torch.from_numpy(rng.random((2, 3, 4))).float()
    return Seed(image, np.array([1, 4]), scores, LocalAffinity(weights, OFFSETS, 4))


@pytest.fixture
def compiled():
    pytest.importorskip('pydensecrf', reason='needs a compiled pydensecrf')


def test_backgrounds(seed):
    for refiner, expected in (
        (PowerBackground(alpha=3), (1 - seed.scores[1:].max(axis=0)) ** 3),
        (ThresholdBackground(threshold=0.3), np.full((9, 14), 0.3)),
    ):
        before = seed.scores.copy()
        out = refiner(seed)
        np.testing.assert_allclose(out.scores[0], expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(out.scores[1:], seed.scores[1:])
        np.testing.assert_array_equal(seed.scores, before)
        assert out.affinity is seed.affinity


def test_random_walk_pads_pools_walks_and_resizes(seed):
    out = RandomWalkRefiner(beta=2, steps=5)(seed)
    scores = np.zeros((3, 12, 16), np.float32)
    scores[:, :9, :14] = seed.scores
    cells = scores.reshape(3, 3, 4, 4, 4).mean(axis=(2, 4))
    matrix = transition_matrix(seed.affinity.weights, OFFSETS, beta=2)
    walked = torch.from_numpy(cells).flatten(1) @ torch.linalg.matrix_power(matrix, 5)
    expected = F.interpolate(
        walked.view(1, 3, 3, 4), (12, 16), mode='bilinear', align_corners=False
    )
    np.testing.assert_allclose(out.scores, expected[0, :, :9, :14], atol=1e-5)
    assert out.scores.dtype == np.float32


def test_random_walk_needs_a_fitting_affinity(seed):
    walk = RandomWalkRefiner(beta=2, steps=5)
    with pytest.raises(ValueError, match='needs an affinity map: train an AffinityNet'):
        walk(replace(seed, affinity=None))
    small = replace(seed.affinity, weights=seed.affinity.weights[:, :2])
    with pytest.raises(ValueError, match=r'\(2, 4\) cells, but .* 9x14 .* \(3, 4\)'):
        walk(replace(seed, affinity=small))


def with_edges(affinity, edge):
    return EdgeAffinity(affinity.weights, affinity.offsets, affinity.stride, edge=edge)


@pytest.fixture
def edge():
    return torch.from_numpy(np.random.default_rng(3).random((3, 4))).float()


def test_edge_walk_stops_what_lies_on_edges(seed, edge):
    seed = replace(seed, affinity=with_edges(seed.affinity, edge))
    before = seed.scores.copy()
    out = EdgeWalkRefiner(beta=2, steps=5)(seed)
    scores = np.zeros((2, 12, 16), np.float32)
    scores[:, :9, :14] = seed.scores[1:]
    cells = torch.from_numpy(scores.reshape(2, 3, 4, 4, 4).mean(axis=(2, 4)))
    matrix = transition_matrix(seed.affinity.weights, OFFSETS, beta=2)
    walked = (cells * (1 - edge)).flatten(1) @ torch.linalg.matrix_power(matrix, 5)
    expected = F.interpolate(
        walked.view(1, 2, 3, 4), (12, 16), mode='bilinear', align_corners=False
    )[0, :, :9, :14]
    # The strongest class of the image reaches one, the others keep their share.
    np.testing.assert_allclose(out.scores[1:], expected / expected.max(), atol=1e-5)
    np.testing.assert_array_equal(out.scores[0], seed.scores[0])
    np.testing.assert_array_equal(seed.scores, before)


def test_edge_walk_needs_edges_and_classes(seed, edge):
    with pytest.raises(ValueError, match='needs edges: train a network with an Edge'):
        EdgeWalkRefiner()(seed)
    affinity = with_edges(seed.affinity, edge)
    nothing = replace(
        seed, classes=seed.classes[:0], scores=seed.scores[:1], affinity=affinity
    )
    assert EdgeWalkRefiner()(nothing) is nothing
    dark = replace(seed, scores=np.zeros_like(seed.scores), affinity=affinity)
    assert not EdgeWalkRefiner()(dark).scores.any()


@pytest.mark.usefixtures('compiled')
def test_confident_training_scores_give_the_labels_of_irn(seed):
    maker = ConfidentTrainingScores(foreground_threshold=0.6, background_threshold=0.2)
    before = seed.scores.copy()
    classes, low, high = maker(seed)
    masks = []
    for threshold in (0.6, 0.2):
        scores = np.concatenate([np.full((1, 9, 14), threshold), seed.scores[1:]])
        unary = label_unary(scores.argmax(axis=0), 3, probability=0.7)
        found = dense_crf(seed.image, unary, CRF_PARAMETERS['label']).argmax(axis=0)
        masks.append(found.astype(np.uint8))
    assert {0, 1, 2} <= set(np.unique(masks))
    expected = confident_labels(*masks)
    np.testing.assert_array_equal(confident_seed(low, high, cell=1), expected)
    assert classes.tolist() == [1, 4]
    np.testing.assert_array_equal(seed.scores, before)


def test_thresholds_in_the_wrong_order():
    with pytest.raises(ValueError, match=r'got 0\.4 and 0\.3'):
        ConfidentTrainingScores(foreground_threshold=0.3, background_threshold=0.4)


@pytest.mark.usefixtures('compiled')
def test_crf_refiners_are_their_functions(seed):
    soft = dense_crf(seed.image, soft_unary(seed.scores), CRF_PARAMETERS['soft1'])
    out = DenseCRFRefiner(parameters='soft1')(seed)
    np.testing.assert_array_equal(out.scores, soft)
    own = DenseCRFRefiner(parameters=CRF_PARAMETERS['soft1'])(seed)
    np.testing.assert_array_equal(own.scores, soft)
    unary = label_unary(seed.scores.argmax(axis=0), 3, probability=0.6)
    hard = dense_crf(seed.image, unary, CRF_PARAMETERS['label'])
    out = LabelCRFRefiner(parameters='label', probability=0.6)(seed)
    np.testing.assert_array_equal(out.scores, hard)


def test_pamr_refiner_is_its_function(seed):
    out = PAMRRefiner(dilations=(1, 2), iterations=3)(seed)
    image = torch.from_numpy(seed.image).permute(2, 0, 1)[None] / 255
    scores = torch.from_numpy(seed.scores)[None]
    expected = pamr(image, scores, dilations=(1, 2), iterations=3)
    torch.testing.assert_close(torch.from_numpy(out.scores), expected[0])


@pytest.mark.usefixtures('compiled')
@pytest.mark.parametrize('name', ['crf', 'rw', 'rw_crf', 'pamr', 'par'])
@pytest.mark.parametrize('tags', [0, 2])
@pytest.mark.parametrize('constants', ['refinement', 'refinement_edge'])
def test_the_chains_of_the_config(root, seed, edge, name, tags, constants):
    seed = replace(seed, affinity=with_edges(seed.affinity, edge / 2))
    cfg = Config.fromfile(root / f'configs/_base_/{constants}.py')
    steps = [cfg.background, *resolve_steps(cfg.refine[name], cfg)]
    chain = build_chain({name: steps}, name)
    assert pickle.loads(pickle.dumps(chain)) == chain
    # Neither an image without tags nor CAMs that are all zero become foreground.
    empty = np.zeros((tags + 1, 9, 14), np.float32)
    bare = replace(seed, classes=seed.classes[:tags], scores=empty)
    assert not seed_mask(refine(bare, chain)).any()
    sure = replace(seed, scores=np.zeros((3, 9, 14), np.float32))
    sure.scores[2] = 0.999  # the first class wins nowhere
    assert (seed_mask(refine(sure, chain)) == 5).all()


@pytest.mark.usefixtures('compiled')
def test_the_training_scores_of_the_config(root, seed):
    from wsss_mm.functional import crf_parameters, seed_scores
    from wsss_mm.registry import TASK_UTILS

    cfg = Config.fromfile(root / 'configs/_base_/refinement.py')
    classes, *pair = TASK_UTILS.build(cfg.training_scores)(seed)
    expected = seed_scores(
        seed.image, seed.scores[1:], crf_parameters('soft'), low_alpha=4, high_alpha=24
    )
    assert classes.tolist() == [1, 4]
    for scores, other in zip(pair, expected):
        np.testing.assert_array_equal(scores, other)


def test_bad_chains_are_refused(root):
    with pytest.raises(ValueError, match="no refinement 'x'; the config has none"):
        build_chain({'none': []}, 'x')
    with pytest.raises(ValueError, match="no CRF parameters named 'hard'"):
        DenseCRFRefiner(parameters='hard')
    with pytest.raises(ValueError, match=r'probability must be in \(0, 1\), got 1'):
        LabelCRFRefiner(parameters='label', probability=1)


def test_the_mask_names_classes():
    scores = np.array([[[0.5, 0.2, 0.3]], [[0.5, 0.1, 0.6]], [[0.4, 0.9, 0.1]]])
    image = np.zeros((1, 3, 3), np.uint8)
    one = Seed(image, np.array([2, 19]), scores.astype(np.float32))
    assert seed_mask(one).tolist() == [[0, 20, 3]]
    assert seed_mask(one).dtype == np.uint8


def test_seeds_that_do_not_fit_are_refused(seed):
    with pytest.raises(ValueError, match=r'scores \(3, 9, 14\) do not fit 1 classes'):
        replace(seed, classes=np.array([1]))
    with pytest.raises(ValueError, match=r'classes must ascend from 0, got \[4, 1\]'):
        replace(seed, classes=np.array([4, 1]))
    with pytest.raises(ValueError, match='scores must be finite float32'):
        replace(seed, scores=seed.scores * np.float32('nan'))
    with pytest.raises(ValueError, match='image must be uint8'):
        replace(seed, image=seed.image / 255)


def test_seed_files(tmp_path, seed):
    Image.fromarray(seed.image).save(tmp_path / 'a.png')
    save_cam(tmp_path / 'a.npz', seed.classes, seed.scores[1:])
    files = SeedFiles(tmp_path / 'a.png', tmp_path / 'a.npz', 5)
    out = files()
    np.testing.assert_array_equal(out.image, seed.image)
    np.testing.assert_allclose(out.scores[1:], seed.scores[1:], atol=1e-3)
    assert not out.scores[0].any()
    with pytest.raises(ValueError, match=r'a\.npz holds foreground class 4'):
        replace(files, num_classes=4)()
    save_cam(tmp_path / 'b.npz', [0], np.ones((1, 9, 13)))
    with pytest.raises(
        ValueError, match=r'b\.npz holds maps of 9x13 pixels, but .*9x1'
    ):
        replace(files, cam=tmp_path / 'b.npz')()
    with pytest.raises(ValueError, match=r'no image .*c\.png'):
        replace(files, image=tmp_path / 'c.png')()
