import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from PIL import Image

from wsss_mm.evaluation import THRESHOLDS
from wsss_mm.functional import cam_to_mask, choose_threshold, threshold_separation
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask, save_mask
from wsss_mm.registry import DATASETS, MODELS

NOTE = 'masks.settings.json'


def names_of(folder, split):
    path = folder / f'data/ImageSets/Segmentation/{split}.txt'
    return path.read_text().split()


def stems(folder):
    return sorted(path.stem for path in folder.iterdir())


def predict(folder, checkpoint, **test_cfg):
    """Predict the masks of the training images at one scale."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(folder / 'thin.py')
    cfg.model.test_cfg.update(test_cfg)
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(torch.load(folder / checkpoint, weights_only=True))
    data = cfg.test_dataloader.dataset
    data.ann_file = cfg.train_dataloader.dataset.ann_file
    masks = {}
    for item in DATASETS.build(data):
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([item]))
        masks[sample.img_id] = sample.pred_sem_seg.data[0].numpy()
    return masks


def test_the_checkpoint_decides_and_not_what_it_was_trained_from(
    generate, folder, tmp_path
):
    expected = predict(folder, 'net.pth')
    other = predict(folder, 'other.pth')
    assert any((expected[name] != other[name]).any() for name in expected)
    generate('--single-scale')
    assert stems(tmp_path / 'masks') == sorted(expected)
    for name, mask in expected.items():
        assert np.array_equal(load_mask(tmp_path / f'masks/{name}.png'), mask)


def test_all_scales_by_default_and_only_what_is_missing(generate, folder, tmp_path):
    names = names_of(folder, 'trainaug')
    assert f'0 of {len(names)} images are done' in generate()
    assert stems(tmp_path / 'masks') == stems(tmp_path / 'cams') == sorted(names)
    single = predict(folder, 'net.pth')
    found = {name: load_mask(tmp_path / f'masks/{name}.png') for name in names}
    assert any((found[name] != single[name]).any() for name in names)

    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.*')}
    (tmp_path / f'masks/{names[0]}.png').unlink()
    (tmp_path / f'cams/{names[1]}.npz').unlink()
    assert f'{len(names) - 2} of {len(names)} images are done' in generate()
    again = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.*')}
    redone = {path.stem for path in files if again[path] != files[path]}
    assert redone == {names[0], names[1]}
    assert np.array_equal(
        load_mask(tmp_path / f'masks/{names[0]}.png'), found[names[0]]
    )
    assert f'{len(names)} of {len(names)} images are done' in generate()


def test_list_threshold_and_masks_alone(generate, folder, tmp_path):
    split = folder / 'data/ImageSets/Segmentation/val.txt'
    arguments = ('--single-scale', '--no-cams', '--split', split)
    generate(*arguments, '--threshold', '0.99')
    assert {path.name for path in tmp_path.iterdir()} == {'masks', NOTE}
    assert stems(tmp_path / 'masks') == names_of(folder, 'val')
    (mask,) = map(load_mask, (tmp_path / 'masks').iterdir())
    strict = (mask > 0).mean()
    generate(*arguments, '--threshold', '0.01', '--overwrite')
    (mask,) = map(load_mask, (tmp_path / 'masks').iterdir())
    assert (mask > 0).mean() > strict + 0.1


def test_masks_of_other_settings_do_not_mix(generate, folder, tmp_path, capsys):
    arguments = ('--single-scale', '--no-cams', '--threshold')
    generate(*arguments, '0.2')
    (tmp_path / f'masks/{names_of(folder, "trainaug")[0]}.png').unlink()
    with pytest.raises(SystemExit) as stop:
        generate(*arguments, '0.3')
    assert stop.value.code == 2
    assert 'threshold: 0.2, now 0.3' in capsys.readouterr().err
    assert len(stems(tmp_path / 'masks')) == len(names_of(folder, 'trainaug')) - 1

    with pytest.raises(SystemExit):
        generate(
            *arguments, '0.2', '--cfg-options', 'model.test_cfg.normalization=min_max'
        )
    assert 'normalization: ' in capsys.readouterr().err
    generate(*arguments, '0.2')
    assert stems(tmp_path / 'masks') == sorted(names_of(folder, 'trainaug'))

    shutil.copy(folder / 'other.pth', folder / 'retrained.pth')
    with pytest.raises(SystemExit):
        generate(*arguments, '0.2', checkpoint='retrained.pth')
    assert 'weights: ' in capsys.readouterr().err


def test_true_masks_are_never_read(generate, folder, tmp_path):
    truth = folder / 'data/SegmentationClass'
    truth.rename(folder / 'hidden')
    try:
        generate('--single-scale')
    finally:
        (folder / 'hidden').rename(truth)
    assert stems(tmp_path / 'masks') == sorted(names_of(folder, 'trainaug'))


def test_a_threshold_is_chosen_without_masks(generate, folder, tmp_path):
    truth = folder / 'data/SegmentationClass'
    truth.rename(folder / 'hidden')
    try:
        printed = generate('--single-scale', '--threshold', 'auto', '--workers', '1')
    finally:
        (folder / 'hidden').rename(truth)
    names = sorted(names_of(folder, 'trainaug'))
    cams = {name: load_cam(tmp_path / f'cams/{name}.npz') for name in names}
    separations = [
        threshold_separation(
            maps.max(axis=0),
            read_rgb(folder / f'data/JPEGImages/{name}.jpg'),
            thresholds=THRESHOLDS,
        )
        for name, (classes, maps) in cams.items()
    ]
    chosen = choose_threshold(separations, thresholds=THRESHOLDS)
    assert f'background threshold {chosen:.2f}, chosen without masks' in printed
    assert stems(tmp_path / 'masks') == names
    for name, (classes, maps) in cams.items():
        mask = load_mask(tmp_path / f'masks/{name}.png')
        assert np.array_equal(mask, cam_to_mask(maps, classes, threshold=chosen))

    # Masks of another threshold are replaced, CAM files are kept.
    stale = tmp_path / f'masks/{names[0]}.png'
    kept = load_mask(stale)
    save_mask(stale, np.zeros_like(kept), [[0, 0, 0]])
    written = (tmp_path / f'cams/{names[0]}.npz').stat().st_mtime_ns
    generate('--single-scale', '--threshold', 'auto', '--workers', '2')
    assert np.array_equal(load_mask(stale), kept)
    assert (tmp_path / f'cams/{names[0]}.npz').stat().st_mtime_ns == written


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--threshold', 'auto', '--no-cams'), 'leave --no-cams out'),
        (('--threshold', 'most'), 'neither a number nor auto'),
    ],
)
def test_unusable_thresholds_are_refused(generate, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        generate(*arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('damage', ['cut', 'empty', 'deep'])
def test_an_image_that_cannot_be_read_is_left_out_and_listed(
    generate, folder, tmp_path, capsys, damage
):
    names = names_of(folder, 'trainaug')
    path = folder / f'data/JPEGImages/{names[1]}.jpg'
    whole = path.read_bytes()
    try:
        if damage == 'deep':
            Image.new('I;16', (9, 9)).save(path, format='PNG')
        else:
            path.write_bytes(whole[:400] if damage == 'cut' else b'')
        with pytest.raises(SystemExit) as ended:
            generate('--single-scale', '--workers', '0')
    finally:
        path.write_bytes(whole)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert f'error: 1 of {len(names)} images failed:\n  {names[1]}: ' in said.err
    assert path.name in said.err
    kept = [name for name in names if name != names[1]]
    assert stems(tmp_path / 'masks') == stems(tmp_path / 'cams') == sorted(kept)
    generate('--single-scale', '--workers', '0')
    assert stems(tmp_path / 'masks') == sorted(names)


def test_only_the_images_that_indices_choose(generate, folder, tmp_path):
    names = names_of(folder, 'trainaug')
    option = 'test_dataloader.dataset.indices=[2,1]'
    generate('--single-scale', '--cfg-options', option)
    assert stems(tmp_path / 'masks') == sorted([names[1], names[2]])


def test_mixed_precision_does_not_mix_with_the_rest(generate, folder, tmp_path, capsys):
    offline = ('--single-scale', '--workers', '0')
    generate(*offline)
    names = sorted((tmp_path / 'cams').glob('*.npz'))
    before = [load_cam(name)[1].astype(float) for name in names]
    with pytest.raises(SystemExit):
        generate(*offline, '--amp')
    assert 'amp: nothing, now True' in capsys.readouterr().err
    generate(*offline, '--amp', '--overwrite')
    after = [load_cam(name)[1].astype(float) for name in names]
    assert any((a != b).any() for a, b in zip(after, before))
    assert max(abs(a - b).mean() for a, b in zip(after, before)) < 0.05
