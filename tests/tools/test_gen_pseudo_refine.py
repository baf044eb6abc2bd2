"""tools/gen_pseudo.py: chains of refiners, seed scores, and images that fail."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from wsss_mm.functional import confusion_counts, iou_report
from wsss_mm.io.cam_file import load_cam, save_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.score_file import load_scores
from wsss_mm.refinement import (
    EdgeAffinity,
    EdgeWalkRefiner,
    LocalAffinity,
    PAMRRefiner,
    PowerBackground,
    RandomWalkRefiner,
    SeedFiles,
    seed_mask,
)
from wsss_mm.registry import MODELS

OFFLINE = ('--single-scale', '--workers', '0')


@pytest.fixture
def names(folder):
    return (folder / 'data/ImageSets/Segmentation/trainaug.txt').read_text().split()


@pytest.fixture
def files(folder, tmp_path):
    """Find the seed of an image after a run."""
    images = folder / 'data/JPEGImages'

    def find(name):
        return SeedFiles(images / f'{name}.jpg', tmp_path / f'cams/{name}.npz')

    return find


@pytest.fixture(scope='module')
def affinity(write_affinity, folder):
    """Config and checkpoint of an affinity network on the tiny dataset."""
    return write_affinity(folder, folder / 'data')


def test_refined_masks_of_other_settings_do_not_mix(
    generate, affinity, folder, tmp_path, capsys
):
    walk = (*OFFLINE, '--refine', 'rw', '--affinity', *affinity)
    generate(*walk)
    refused = [
        (*walk, '--cfg-options', 'background.alpha=3'),
        (*walk, '--ignore-margin', '0.1'),
        (*walk[:-1], folder / 'affinity_retrained.pth'),
    ]
    weights = torch.load(affinity[1], weights_only=True)
    torch.save({k: v + 1 for k, v in weights.items()}, refused[2][-1])
    for arguments, message in zip(refused, ('alpha: ', 'margin: None', 'affinity: ')):
        with pytest.raises(SystemExit):
            generate(*arguments)
        error = capsys.readouterr().err
        assert 'masks_rw: its files were made with other settings' in error
        assert message in error
    # Scores that were not kept the first time are made when they are asked for.
    generate(*walk, '--keep-scores')
    assert any((tmp_path / 'cams_rw').iterdir())


@pytest.mark.parametrize('threshold', ['0.4', 'auto'])
def test_a_refinement_leaves_the_masks_of_the_cams_alone(
    generate, names, tmp_path, threshold
):
    generate(*OFFLINE, '--threshold', threshold)
    path = tmp_path / f'masks/{names[0]}.png'
    written = path.stat().st_mtime_ns
    generate(*OFFLINE, '--refine', 'pamr')
    assert (tmp_path / f'masks_pamr/{names[0]}.png').is_file()
    assert path.stat().st_mtime_ns == written


def test_seed_scores_of_other_settings_do_not_mix(generate, capsys):
    generate(*OFFLINE, '--seed-scores')
    with pytest.raises(SystemExit):
        generate(
            *OFFLINE, '--seed-scores', '--cfg-options', 'training_scores.low_alpha=2'
        )
    assert 'training_scores.low_alpha: ' in capsys.readouterr().err


def test_a_chain_writes_masks_beside_those_of_the_cams(
    generate, names, files, tmp_path
):
    printed = generate(*OFFLINE, '--refine', 'pamr', '--keep-scores')
    assert 'cams_pamr: 0 of' in printed
    assert sorted(p.stem for p in (tmp_path / 'masks_pamr').iterdir()) == sorted(names)
    changed = False
    for name in names:
        # The chain of the config: the background of cam_r18_synth, then PAMR.
        seed = PAMRRefiner()(PowerBackground(alpha=12)(files(name)()))
        mask = load_mask(tmp_path / f'masks_pamr/{name}.png')
        assert np.array_equal(mask, seed_mask(seed))
        changed |= not np.array_equal(mask, load_mask(tmp_path / f'masks/{name}.png'))
        classes, scores = load_cam(tmp_path / f'cams_pamr/{name}.npz')
        np.testing.assert_array_equal(classes, seed.classes)
        np.testing.assert_allclose(scores, seed.scores[1:], atol=1e-3)
    assert changed


def test_only_what_is_missing_is_refined(generate, names, tmp_path):
    generate(*OFFLINE, '--refine', 'pamr')
    made = tmp_path / f'masks_pamr/{names[0]}.png'
    kept = (tmp_path / f'masks_pamr/{names[1]}.png').stat().st_mtime_ns
    made.unlink()
    printed = generate(*OFFLINE, '--refine', 'pamr')
    assert f'masks_pamr: {len(names) - 1} of {len(names)}' in printed
    assert made.is_file()
    assert (tmp_path / f'masks_pamr/{names[1]}.png').stat().st_mtime_ns == kept


def test_contested_pixels_are_ignored(generate, names, files, tmp_path):
    generate(*OFFLINE, '--refine', 'pamr', '--ignore-margin', '0.3')
    ignored = 0
    for name in names:
        seed = PAMRRefiner()(PowerBackground(alpha=12)(files(name)()))
        lead = np.diff(np.sort(seed.scores, axis=0)[-2:], axis=0)[0]
        mask = load_mask(tmp_path / f'masks_pamr/{name}.png')
        assert np.array_equal(mask == 255, lead < 0.3)
        ignored += (mask == 255).sum()
    assert ignored


def trained(network):
    """Build what a config and a checkpoint describe."""
    init_default_scope('mmseg')
    model = MODELS.build(Config.fromfile(network[0]).model).eval()
    model.load_state_dict(torch.load(network[1], weights_only=True))
    return model


def normalised(image):
    """Normalise and pad an image as the test pipeline and the network do."""
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    pixels = torch.from_numpy(((image - mean) / std).transpose(2, 0, 1)).float()
    height, width = image.shape[:2]
    return torch.nn.functional.pad(pixels, (0, -width % 4, 0, -height % 4))[None]


def test_a_random_walk_follows_the_affinity_network(
    generate, affinity, names, files, tmp_path
):
    generate(*OFFLINE, '--refine', 'rw', '--affinity', *affinity)
    model = trained(affinity)
    for name in names:
        seed = files(name)()
        pixels = normalised(seed.image)
        with torch.no_grad():
            features = model.extract_feat(pixels)
            (weights,) = model.decode_head.affinity(features)
        seen = LocalAffinity(weights, model.offsets, model.stride)
        seed = PowerBackground(alpha=25)(replace(seed, affinity=seen))
        seed = RandomWalkRefiner(beta=16, steps=64)(seed)
        mask = load_mask(tmp_path / f'masks_rw/{name}.png')
        assert (mask == seed_mask(seed)).mean() > 0.999  # ties within rounding


@pytest.fixture(scope='module')
def edges(affinity):
    """The same with an edge head, on the stem and all stages."""
    cfg = Config.fromfile(affinity[0])
    cfg.model.backbone.type = 'ResNetStem'
    cfg.model.decode_head = dict(
        type='EdgeHead',
        in_channels=(4, 4, 8, 16, 32),
        strides=(4, 4, 8, 8, 8),
        mid_channels=4,
        norm_groups=2,
        train_radius=4,
        radius=3,
    )
    config = affinity[0].with_name('edges.py')
    cfg.dump(config)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save(model.state_dict(), config.with_suffix('.pth'))
    return config, config.with_suffix('.pth')


def test_a_random_walk_goes_between_edges(generate, edges, names, files, tmp_path):
    options = ('--cfg-options', 'walk.type=EdgeWalkRefiner')
    generate(*OFFLINE, '--refine', 'rw', '--affinity', *edges, *options)
    model = trained(edges)
    for name in names:
        seed = files(name)()
        height, width = seed.image.shape[:2]
        pixels = normalised(seed.image)[..., :height, :width]
        views = [model.pad(view) for view in (pixels, pixels.flip(-1))]
        cells = tuple(-(-side // model.stride) for side in pixels.shape[-2:])
        with torch.no_grad():
            features = [model.extract_feat(view) for view in views]
            found = model.decode_head.predict(features, cells)
        seen = EdgeAffinity(
            found['affinity'][0], model.offsets, model.stride, found['edge'][0, 0]
        )
        seed = PowerBackground(alpha=25)(replace(seed, affinity=seen))
        seed = EdgeWalkRefiner(beta=16, steps=64)(seed)
        mask = load_mask(tmp_path / f'masks_rw/{name}.png')
        assert (mask == seed_mask(seed)).mean() > 0.999  # ties within rounding


def test_seed_scores_are_those_of_the_config(generate, names, files, tmp_path):
    pytest.importorskip('pydensecrf', reason='pip install -r requirements/crf.txt')
    from wsss_mm.refinement import TrainingScores

    generate(*OFFLINE, '--seed-scores')
    make = TrainingScores(low_alpha=6, high_alpha=24)
    background = np.zeros(2)
    for name in names:
        found = load_scores(tmp_path / f'seed_scores/{name}.npz')
        for one, other in zip(found, make(files(name)())):
            np.testing.assert_allclose(one, other, atol=1e-3)
        background += found.low[0].mean(), found.high[0].mean()
    # A strong background leaves less to the classes.
    assert background[0] > background[1]


@pytest.mark.parametrize(
    'damage, message',
    [
        (lambda path: path.write_bytes(path.read_bytes()[:100]), 'truncated'),
        (lambda path: save_cam(path, [0], np.ones((1, 5, 5))), '5x5 pixels'),
        (lambda path: save_cam(path, [60], np.ones((1, 64, 64))), 'class 60'),
    ],
)
def test_one_bad_file_ends_no_run(generate, names, tmp_path, capsys, damage, message):
    generate(*OFFLINE)
    damage(tmp_path / f'cams/{names[1]}.npz')
    with pytest.raises(SystemExit) as stopped:
        generate(*OFFLINE, '--refine', 'pamr')
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f'1 of {len(names)} images failed' in said
    assert f'{names[1]}.npz' in said
    assert message in said
    made = {path.stem for path in (tmp_path / 'masks_pamr').iterdir()}
    assert made == set(names) - {names[1]}


def test_cams_without_a_signal_are_background(generate, names, tmp_path):
    generate(*OFFLINE)
    for name in names:
        classes, maps = load_cam(tmp_path / f'cams/{name}.npz')
        save_cam(tmp_path / f'cams/{name}.npz', classes, np.zeros_like(maps))
    (tmp_path / 'masks_pamr').mkdir()
    generate(*OFFLINE, '--refine', 'pamr')
    for name in names:
        assert (load_mask(tmp_path / f'masks_pamr/{name}.png') == 0).all()


def test_dense_crf_improves_a_seed(generate, folder, names, tmp_path):
    pytest.importorskip('pydensecrf', reason='pip install -r requirements/crf.txt')
    generate(*OFFLINE)
    # Seeds that cover the middle of each object and spill over one of its sides.
    for name in names:
        truth = load_mask(folder / f'data/SegmentationClass/{name}.png')
        classes = [i - 1 for i in np.unique(truth) if 0 < i < 255]
        maps = np.stack([(truth == i + 1).astype(float) for i in classes])
        spilt = (maps + np.roll(maps, 3, axis=2)) / 2
        save_cam(tmp_path / f'cams/{name}.npz', classes, 0.6 * spilt)
    generate(*OFFLINE, '--refine', 'crf')
    counts = {'before': 0, 'after': 0}
    for name in names:
        truth = load_mask(folder / f'data/SegmentationClass/{name}.png')
        classes, maps = load_cam(tmp_path / f'cams/{name}.npz')
        before = np.where(maps.max(0) > 0.2, classes[maps.argmax(0)] + 1, 0)
        after = load_mask(tmp_path / f'masks_crf/{name}.png')
        for key, mask in (('before', before), ('after', after)):
            counts[key] += confusion_counts(mask.astype(np.uint8), truth, num_classes=9)
    gain = iou_report(counts['after']).miou - iou_report(counts['before']).miou
    assert gain > 0.02


def test_what_does_not_go_together_is_refused(generate, tmp_path, capsys):
    for arguments, message in (
        (('--refine', 'magic'), "no refinement 'magic' in the config; it has"),
        (('--refine', 'rw'), 'add --affinity CONFIG CHECKPOINT'),
        (('--refine', 'pamr', '--no-cams'), '--no-cams leaves nothing to refine'),
    ):
        with pytest.raises(SystemExit) as stopped:
            generate(*OFFLINE, *arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'cams').exists()
