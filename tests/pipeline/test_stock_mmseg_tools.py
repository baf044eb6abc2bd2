"""MMSegmentation's own train.py and test.py run every stage of ours, unchanged.

The three stages follow one another as they would for a user: a SEAM network is
trained from tags, its CAMs and pseudo masks are written by a test run with
`PseudoLabelHook`, and DeepLab is trained on those masks.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest

from wsss_mm.datasets.synth_voc import CLASSES, write_synth_voc
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.score_file import save_scores

TOOLS = Path(mmseg.__file__).parent / '.mim/tools'
pytestmark = pytest.mark.skipif(
    not (TOOLS / 'test.py').is_file(),
    reason='this distribution of mmsegmentation ships no tools (mmseg/.mim/tools)',
)

# One process runs several commands, since importing takes longer than they do.
DRIVER = """
import json, runpy, sys
for command in json.loads(sys.argv[1]):
    sys.argv = command
    runpy.run_path(command[0], run_name='__main__')
"""


def run(root, *commands):
    """Run stock tools from the checkout; return what they printed."""
    listed = [[str(TOOLS / tool), *map(str, rest)] for tool, *rest in commands]
    done = subprocess.run(
        [sys.executable, '-c', DRIVER, json.dumps(listed)],
        cwd=root,
        env=dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('stock') / 'data'
    return write_synth_voc(out, train=4, val=2, size=64)


def options(data, *more, splits=('train', 'val', 'test')):
    """Options that shrink a config to two steps on the tiny data."""
    loaders = [f'{name}_dataloader' for name in splits]
    return [
        '--cfg-options',
        *(f'{name}.dataset.data_root={data}' for name in loaders),
        *(f'{name}.num_workers=0' for name in loaders),
        *(f'{name}.persistent_workers=False' for name in loaders),
        'train_dataloader.batch_size=2',
        'train_cfg.max_iters=2',
        *(['train_cfg.val_interval=2'] if 'val' in splits else []),
        'default_hooks.logger.interval=1',
        'default_hooks.visualization.interval=1',
        *more,
    ]


def score(path):
    """Read the metric that stock test.py leaves in its work folder."""
    found = sorted(path.glob('*/*.json'))
    return json.loads(found[-1].read_text())


@pytest.fixture(scope='module')
def cams(root, data):
    """Stages 1 and 2: train from tags, then write CAMs and masks of trainaug."""
    work = data.parent
    config = 'configs/seam/seam_r18_synth.py'
    hooked = work / 'hooked.py'
    hooked.write_text(
        f'_base_ = {str(root / config)!r}\n'
        f'custom_hooks = [dict(type="PseudoLabelHook", out_dir={str(work)!r})]\n'
    )
    aug = 'test_dataloader.dataset.ann_file=ImageSets/Segmentation/trainaug.txt'
    network = work / 'cam/iter_2.pth'
    single = [
        'default_hooks.pseudo_label.type=PseudoLabelHook',
        f'default_hooks.pseudo_label.out_dir={work / "single"}',
    ]
    start = 'configs/cam/cam_r18_synth_pretrain.py'
    given = f'load_from={work / "start/iter_2.pth"}'
    log = run(
        root,
        ('train.py', start, '--work-dir', work / 'start', *options(data)),
        ('train.py', config, '--work-dir', work / 'cam', *options(data, given)),
    )
    # Not in the same process: the visualizer of the training would be used again.
    run(
        root,
        (
            *('test.py', config, network, '--work-dir', work / 'cam_test'),
            *('--show-dir', work / 'painted', *options(data, *single)),
        ),
        (
            *('test.py', hooked, network, '--tta', '--work-dir', work / 'cam_tta'),
            *options(data, aug),
        ),
    )
    return work, log


def test_a_cam_network_trains_from_tags(cams):
    _, log = cams
    for loss in ('loss_cls', 'loss_er', 'loss_ecr', 'loss_min_pool', 'mIoU_best'):
        assert f'{loss}: ' in log


def test_a_test_run_scores_and_paints_cams(cams):
    work, _ = cams
    assert {'mIoU', 'mIoU_best'} <= score(work / 'cam_test').keys()
    assert {'mIoU', 'mIoU_best'} <= score(work / 'cam_tta').keys()
    assert list((work / 'painted').rglob('*.png'))


def test_the_hook_writes_cams_and_masks(cams, data):
    work, _ = cams
    names = (data / 'ImageSets/Segmentation/trainaug.txt').read_text().split()
    tags = dict(
        line.split(',')
        for line in (data / 'image_labels.csv').read_text().split('\n')
        if line
    )
    for name in names:
        classes, maps = load_cam(work / f'cams/{name}.npz')
        present = sorted(CLASSES.index(tag) - 1 for tag in tags[name].split())
        assert classes.tolist() == present
        mask = load_mask(work / f'masks/{name}.png')
        truth = load_mask(data / f'SegmentationClass/{name}.png')
        assert mask.shape == truth.shape == maps.shape[1:]
        assert set(np.unique(mask)) <= {0, *(c + 1 for c in present)}
    # One scale and eight views are not the same.
    single = [load_cam(path)[1] for path in sorted((work / 'single/cams').iterdir())]
    fused = [
        load_cam(work / f'cams/{name}.npz')[1] for name in sorted(names)[: len(single)]
    ]
    assert len(single) == 4
    assert not all(np.allclose(a, b, atol=1e-3) for a, b in zip(single, fused))


def test_an_affinity_network_trains_on_seed_scores(root, data, cams):
    seeds = cams[0] / 'seeds'
    rng = np.random.default_rng(0)
    for path in (cams[0] / 'cams').iterdir():
        classes, maps = load_cam(path)
        shape = (2, len(classes) + 1, *maps.shape[1:])
        save_scores(seeds / path.name, classes, *rng.random(shape, np.float32))
    work = cams[0] / 'affinity'
    log = run(
        root,
        (
            *('train.py', 'configs/seam/seam_r18_synth_affinity.py'),
            *('--work-dir', work),
            *options(
                data,
                f'train_dataloader.dataset.data_prefix.seed_scores_path={seeds}',
                f'load_from={cams[0] / "start/iter_2.pth"}',
                splits=('train', 'test'),
            ),
        ),
    )
    assert 'loss_affinity: ' in log
    assert (work / 'iter_2.pth').is_file()


@pytest.mark.parametrize(
    'config', ['seam/seam_r18_synth', 'supervised/deeplabv2_r18_synth']
)
def test_a_segmenter_trains_on_masks_and_is_tested(root, data, cams, config):
    work = cams[0] / Path(config).name
    more = [f'model.backbone.init_cfg.checkpoint={cams[0] / "start/iter_2.pth"}']
    if config.startswith('seam'):
        config += '_deeplabv2'
        masks = cams[0] / 'masks'
        more += [f'train_dataloader.dataset.data_prefix.seg_map_path={masks}']
    path, network = f'configs/{config}.py', work / 'iter_2.pth'
    log = run(
        root,
        ('train.py', path, '--work-dir', work, *options(data, *more)),
        (
            *('test.py', path, network, '--work-dir', work / 'test'),
            *options(data, *more),
        ),
        (
            *('test.py', path, network, '--tta', '--work-dir', work / 'tta'),
            *options(data, *more),
        ),
    )
    assert 'decode.loss_ce: ' in log
    plain, fused = score(work / 'test'), score(work / 'tta')
    assert 0 <= plain['mIoU'] <= 100
    assert 0 <= fused['mIoU'] <= 100
    assert 'mIoU_best' not in plain
