import importlib.util

import numpy as np
import pytest
from PIL import Image

from wsss_mm.functional import saliency_mask
from wsss_mm.io.cam_file import load_cam, save_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.saliency_file import load_saliency


@pytest.fixture(scope='module')
def tool(root):
    path = root / 'tools' / 'saliency_masks.py'
    spec = importlib.util.spec_from_file_location('saliency_masks', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """CAMs of two images of different sizes, and their saliency."""
    rng = np.random.default_rng(1)
    (tmp_path / 'saliency').mkdir()
    for i, name in enumerate(('a', 'b')):
        size = (6 + i, 9)
        maps = rng.random((i + 1, *size))
        save_cam(tmp_path / 'cams' / f'{name}.npz', [3, 7][: i + 1], maps)
        grey = rng.integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(grey).save(tmp_path / 'saliency' / f'{name}.png')
    return tmp_path


@pytest.fixture
def run(tool, folder):
    def run(*options):
        argv = [folder / 'cams', folder / 'saliency', folder / 'out', *options]
        tool.main([str(item) for item in argv])

    return run


@pytest.mark.parametrize('options', [(), ('--floor', 90, '--threshold', 0.5)])
def test_masks_follow_the_rule(run, folder, options):
    run(*options)
    given = dict(least_saliency=90 / 255, threshold=0.5) if options else {}
    for name in ('a', 'b'):
        classes, maps = load_cam(folder / 'cams' / f'{name}.npz')
        grey = np.array(Image.open(folder / 'saliency' / f'{name}.png')) / 255
        expected = saliency_mask(maps, classes, grey, **given)
        assert np.array_equal(load_mask(folder / 'out' / f'{name}.png'), expected)
        assert {0, 4, 255} <= set(expected.ravel().tolist()) or name == 'b'


def test_a_list_chooses_the_images(run, folder):
    (folder / 'list.txt').write_text('b\n')
    run('--list', folder / 'list.txt')
    assert [path.name for path in (folder / 'out').iterdir()] == ['b.png']


def refused(run, capsys, *options):
    with pytest.raises(SystemExit) as caught:
        run(*options)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_missing_map_is_named(run, folder, capsys):
    (folder / 'saliency' / 'b.png').unlink()
    assert 'no saliency map' in refused(run, capsys)


def test_a_map_of_another_size_is_named(run, folder, capsys):
    Image.new('L', (4, 4)).save(folder / 'saliency' / 'a.png')
    assert 'resize it to the image' in refused(run, capsys)


@pytest.mark.parametrize(
    'options, message',
    [
        (('--threshold', 1.5), 'threshold is 1.5; give'),
        (('--rival', -1), 'conflict is -1'),
        (('--floor', 256), 'least_saliency is 1.0'),
    ],
)
def test_an_option_out_of_range_is_named(run, capsys, options, message):
    assert message in refused(run, capsys, *options)


def test_an_empty_folder_is_named(run, folder, capsys):
    for path in (folder / 'cams').iterdir():
        path.unlink()
    assert 'no .npz file' in refused(run, capsys)


def test_a_colour_image_is_no_saliency_map(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=r'mode RGB; save saliency as 8-bit grey'):
        load_saliency(tmp_path / 'a.png')


def test_a_truncated_image_is_no_saliency_map(tmp_path):
    Image.new('L', (40, 40)).save(tmp_path / 'a.png')
    data = (tmp_path / 'a.png').read_bytes()
    (tmp_path / 'a.png').write_bytes(data[:40])
    with pytest.raises(ValueError, match='cannot read saliency map'):
        load_saliency(tmp_path / 'a.png')
