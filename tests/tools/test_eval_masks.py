import importlib.util
import json
import sys

import numpy as np
import pytest
from PIL import Image

from wsss_mm.apis import evaluate
from wsss_mm.evaluation import THRESHOLDS, score_confusion
from wsss_mm.functional import (
    cam_to_mask,
    choose_threshold,
    confusion_counts,
    threshold_separation,
)
from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask

PALETTE = [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
NAMES = ['2007_a', 'b', 'sub/c']


@pytest.fixture(scope='module')
def tool(root):
    spec = importlib.util.spec_from_file_location(
        'eval_masks', root / 'tools' / 'eval_masks.py'
    )
    module = importlib.util.module_from_spec(spec)
    # Worker processes find the function to call by the name of its module.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def folder(tmp_path):
    """Ground truth, masks and CAMs of three images of different sizes."""
    rng = np.random.default_rng(3)
    for i, name in enumerate(NAMES):
        size = (6 + i, 9)
        gt = rng.integers(0, 3, size, dtype=np.uint8)
        gt[0, :3] = 255
        save_mask(tmp_path / 'gt' / f'{name}.png', gt, PALETTE)
        mask = rng.integers(0, 3, size, dtype=np.uint8)
        save_mask(tmp_path / 'masks' / f'{name}.png', mask, PALETTE)
        present = np.arange(i % 3)
        maps = rng.random((len(present), *size)).astype(np.float16)
        save_cam(tmp_path / 'cams' / f'{name}.npz', present, maps)
    (tmp_path / 'list.txt').write_text('\n'.join(NAMES) + '\n\n')
    return tmp_path


@pytest.fixture
def run(tool, folder):
    """Run the tool on a kind of prediction and give back the figures."""

    def run(kind, *options, workers=1):
        argv = [folder / kind, folder / 'gt', '--list', folder / 'list.txt']
        if not {'--names', '--dataset', '--classes'} & set(options):
            argv += ['--classes', 3]
        argv += ['--json', folder / 'out.json', '--workers', workers, *options]
        tool.main([str(item) for item in argv])
        return json.loads((folder / 'out.json').read_text())

    return run


def fails(run, capsys, *args):
    """Run in vain: exit status 2, a message, no traceback, nothing written."""
    with pytest.raises(SystemExit) as stop:
        run(*args)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert 'Traceback' not in error
    return error


def read(folder, kind, name):
    return np.asarray(Image.open(folder / kind / f'{name}.png'))


def expected_of_masks(folder):
    counts = [
        confusion_counts(read(folder, 'masks', name), read(folder, 'gt', name), 3)
        for name in NAMES
    ]
    return score_confusion(sum(counts))


def expected_of_cams(folder, threshold):
    total = 0
    for name in NAMES:
        with np.load(folder / 'cams' / f'{name}.npz') as archive:
            mask = cam_to_mask(archive['maps'], archive['classes'], threshold=threshold)
        total = total + confusion_counts(mask, read(folder, 'gt', name), 3)
    return score_confusion(total)


def test_masks(run, folder, capsys):
    figures = run('masks')
    expected = expected_of_masks(folder)
    assert {key: figures[key] for key in expected} == expected
    assert figures['images'] == 3
    assert f'{expected["mIoU"]:.2f} %' in capsys.readouterr().out


def test_several_workers_count_the_same(run, tool, monkeypatch):
    single = run('cams', '--curve', '--threshold', '0.26')
    monkeypatch.setattr(evaluate, 'IMAGES_PER_TASK', 1)
    assert run('cams', '--curve', '--threshold', '0.26', workers=2) == single


def test_cams_in_one_pass(run, folder):
    figures = run('cams', '--curve', '--threshold', '0.255')
    for key, value in expected_of_cams(folder, 0.255).items():
        assert figures[key] == value
    assert len(figures['curve']) == 60
    for point in figures['curve']:
        assert point == {
            'threshold': point['threshold'],
            **expected_of_cams(folder, point['threshold']),
        }
    mious = [point['mIoU'] for point in figures['curve']]
    assert figures['mIoU_best'] == max(mious)
    assert figures['best_threshold'] == mious.index(max(mious)) / 100


def test_the_curve_alone_reports_no_fixed_figure(run, capsys):
    figures = run('cams', '--curve')
    assert 'mIoU' not in figures
    assert 'chosen with ground truth' in capsys.readouterr().out


def test_the_curve_is_drawn(run, folder):
    run('cams', '--curve', '--plot', folder / 'curve.png')
    with Image.open(folder / 'curve.png') as image:
        pixels = np.asarray(image.convert('RGB')).reshape(-1, 3)
    assert (np.abs(pixels.astype(int) - (31, 135, 181)).sum(axis=1) < 8).any()


def test_class_names_from_a_file_and_of_data_sets(run, folder):
    (folder / 'names.txt').write_text('background\ncat\ndog\n')
    figures = run('masks', '--names', folder / 'names.txt')
    assert list(figures['classes']) == ['background', 'cat', 'dog']
    figures = run('masks', '--dataset', 'voc')
    assert len(figures['classes']) == 21
    assert list(figures['classes'])[20] == 'tvmonitor'
    from wsss_mm.datasets.synth_voc import CLASSES

    figures = run('masks', '--dataset', 'synth_voc')
    assert list(figures['classes']) == list(CLASSES)


def test_missing_prediction(run, folder, capsys):
    (folder / 'masks' / 'b.png').unlink()
    error = fails(run, capsys, 'masks')
    assert 'b.png' in error
    assert 'list' in error
    assert not (folder / 'out.json').exists()


def test_no_prediction_at_all(run, capsys):
    assert '2007_a.npz or .png; give the folder' in fails(run, capsys, 'nothing')


def test_missing_ground_truth(run, folder, capsys):
    (folder / 'gt' / 'b.png').unlink()
    assert str(folder / 'gt' / 'b.png') in fails(run, capsys, 'cams', '--curve')


@pytest.mark.parametrize('kind', ['masks', 'cams'])
def test_other_size(run, folder, capsys, kind):
    save_mask(folder / 'gt' / 'b.png', np.zeros((4, 5), np.uint8), PALETTE)
    error = fails(run, capsys, kind, *(['--curve'] if kind == 'cams' else []))
    assert str(folder / kind / 'b.') in error
    assert '7x9' in error
    assert '4x5' in error
    assert 'original image' in error


def test_errors_cross_from_worker_processes(tool, run, folder, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, 'IMAGES_PER_TASK', 1)
    (folder / 'cams' / 'b.npz').write_bytes(b'PK\x03\x04 cut off')

    def run_parallel(*args):
        return run(*args, workers=2)

    error = fails(run_parallel, capsys, 'cams', '--curve')
    assert 'b.npz is truncated' in error


def test_class_out_of_range(run, folder, capsys):
    save_mask(folder / 'masks' / 'b.png', np.full((7, 9), 9, np.uint8), PALETTE)
    error = fails(run, capsys, 'masks')
    assert 'b.png holds the values [9]' in error
    save_cam(folder / 'cams' / 'b.npz', [2], np.zeros((1, 7, 9)))
    assert 'b.npz holds foreground class 2' in fails(run, capsys, 'cams', '--curve')


def test_an_undecided_pixel_in_a_prediction(run, folder, capsys):
    save_mask(folder / 'masks' / 'b.png', np.full((7, 9), 255, np.uint8), PALETTE)
    assert 'b.png: pred must lie in 0..2' in fails(run, capsys, 'masks')


def test_lists(run, folder, capsys):
    (folder / 'list.txt').write_text('\n')
    assert 'list.txt is empty' in fails(run, capsys, 'masks')
    (folder / 'list.txt').write_text('b\nb\n')
    assert "'b' is already on line 1" in fails(run, capsys, 'masks')
    (folder / 'list.txt').unlink()
    assert 'no list file' in fails(run, capsys, 'masks')


def test_ids_with_the_extension_of_the_image(run, folder):
    plain = run('masks')
    (folder / 'list.txt').write_text('2007_a.jpg\nb.JPG\nsub/c.png\n')
    assert run('masks') == plain


def test_class_names_must_be_unique(run, folder, capsys):
    (folder / 'names.txt').write_text('background\ncat\ncat\n')
    error = fails(run, capsys, 'masks', '--names', folder / 'names.txt')
    assert 'names a class twice' in error


@pytest.mark.parametrize(
    'args, message',
    [
        (['cams'], 'add --curve, or --threshold'),
        (['masks', '--curve'], 'holds masks'),
        (['masks', '--threshold', '0.3'], 'holds masks'),
        (['cams', '--threshold', '1.5'], 'give a number in [0, 1)'),
        (['cams', '--threshold', '0.3', '--plot', 'x.png'], 'add --curve'),
        (['masks', '--classes', '1'], 'give 2 to 255'),
    ],
)
def test_options_that_do_not_fit(run, capsys, args, message):
    assert message in fails(run, capsys, *args)


def test_output_that_cannot_be_written(run, folder, capsys):
    (folder / 'file').write_text('')
    error = fails(run, capsys, 'masks', '--json', folder / 'file' / 'out.json')
    assert 'cannot write' in error


@pytest.fixture
def images(folder):
    rng = np.random.default_rng(5)
    for name in NAMES:
        size = read(folder, 'gt', name).shape
        path = folder / f'images/{name}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return folder / 'images'


def test_the_automatic_threshold_knows_no_ground_truth(run, folder, images, capsys):
    options = ('--threshold', 'auto', '--images', images)
    figures = run('cams', '--curve', *options)
    assert 'chosen without ground truth' in capsys.readouterr().out
    chosen = figures['threshold']
    separations = []
    for name in NAMES:
        with np.load(folder / f'cams/{name}.npz') as archive:
            if len(archive['maps']):
                score = archive['maps'].max(axis=0)
                image = np.asarray(Image.open(images / f'{name}.png'))
                separations.append(
                    threshold_separation(score, image, thresholds=THRESHOLDS)
                )
    assert chosen == choose_threshold(separations, thresholds=THRESHOLDS)
    expected = expected_of_cams(folder, chosen)
    assert {key: figures[key] for key in expected} == expected
    assert figures['mIoU'] <= figures['mIoU_best']
    for name in NAMES:
        mask = np.zeros_like(read(folder, 'gt', name))
        save_mask(folder / 'gt' / f'{name}.png', mask, PALETTE)
    assert run('cams', *options)['threshold'] == chosen


def test_the_automatic_threshold_needs_images(run, folder, images, capsys):
    assert 'add --images' in fails(run, capsys, 'cams', '--threshold', 'auto')
    Image.new('RGB', (3, 3)).save(images / 'b.png')
    message = fails(run, capsys, 'cams', '--threshold', 'auto', '--images', images)
    assert 'b.png has 3x3' in message
    no_such = ('--images', folder / 'nowhere')
    message = fails(run, capsys, 'cams', '--threshold', 'auto', *no_such)
    assert 'no image folder' in message


def test_masks_of_0_and_255_are_noticed(run, folder, capsys):
    for name in NAMES:
        mask = read(folder, 'gt', name).copy()
        mask[mask == 2] = 255
        save_mask(folder / 'gt' / f'{name}.png', mask, PALETTE)
    run('masks')
    assert 'warning: ' in capsys.readouterr().out


def test_true_masks_under_another_name_are_noticed(run, folder, capsys):
    (folder / 'linked').mkdir()
    for name in NAMES:
        target = folder / 'linked' / f'{name}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(folder / 'gt' / f'{name}.png')
    run('linked')
    assert 'predictions are the true masks themselves' in capsys.readouterr().out


def test_masks_with_their_extension_in_capitals(run, folder):
    expected = run('masks')
    for name in NAMES:
        path = folder / 'masks' / f'{name}.png'
        path.rename(path.with_suffix('.PNG'))
    assert run('masks') == expected
