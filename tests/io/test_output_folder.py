import os
import random

import numpy as np
import pytest
from PIL import Image

from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.image_file import save_picture
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.io.score_file import save_scores

MASK = np.zeros((2, 3), np.uint8)
PALETTE = [[0, 0, 0]]
ATOMS = [
    *('a', 'b', 'sub', '.', '..', '...', '/', '//', '\\', 'C:', '~', ' ', '\t', '\n'),
    *('\r', '\0', '\x0c', '\u2028', '\u2029', '\x85', '\ufeff', '\u202e', '\u00e9'),
    *('e\u0301', '\ud800', '"', "'", ',', ';', '*', '?', '|', '%2e%2e', '%00', '$HOME'),
    *('.png', '.jpg', '.npz', 'masks', 'x' * 250, '\U0001f600', 'secret', 'link'),
]


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / 'work/out'
    folder.mkdir(parents=True)
    return folder


def files_under(folder):
    return {
        os.path.join(parent, name): os.stat(os.path.join(parent, name)).st_mtime_ns
        for parent, _, names in os.walk(folder)
        for name in names
    }


def test_files_lie_below_the_folder(out):
    folder = OutputFolder(out)
    assert folder.path_of('a', '.png') == out / 'a.png'
    assert folder.path_of('./s/a.b', '.npz', folder='cams') == out / 'cams/s/a.b.npz'


def test_nothing_is_written_outside_for_5000_ids(tmp_path, out):
    """Also where links of the folder lead out of it."""
    rng = random.Random(0)
    outside = tmp_path / 'secret'
    outside.mkdir()
    (tmp_path / 'work/a.png').write_bytes(b'not ours')
    (outside / 'a.png').write_bytes(b'not ours')
    (out / 'link').symlink_to(outside)
    (out / 'masks').mkdir()
    (out / 'masks/secret').symlink_to(outside)
    before = files_under(tmp_path)
    written, seen = 0, {}
    for _ in range(5000):
        image_id = ''.join(rng.choices(ATOMS, k=rng.randint(1, 7)))
        try:
            path = OutputFolder(out).path_of(image_id, '.png', folder='masks')
            save_mask(path, MASK, PALETTE)
        except ValueError:
            continue
        real = os.path.realpath(path)
        assert real.startswith(str(out / 'masks') + os.sep)
        written += 1
        seen.setdefault(real, image_id)
    after = files_under(tmp_path)
    assert {path: after[path] for path in before} == before
    assert set(after) - set(before) == set(seen)
    assert written > 500


@pytest.mark.parametrize('target', ['elsewhere', '.'])
def test_a_linked_sub_folder_is_refused(tmp_path, out, target):
    (tmp_path / target).mkdir(exist_ok=True)
    (out / 'masks').symlink_to(tmp_path / target)
    with pytest.raises(ValueError, match=r'masks is a link that leads out of .*out'):
        OutputFolder(out).path_of('a', '.png', folder='masks')
    # The folder itself may be a link.
    assert OutputFolder(out / 'masks').path_of('a', '.png').name == 'a.png'


def test_a_folder_of_inputs_is_refused(tmp_path, out):
    images = tmp_path / 'work/out/masks'
    images.mkdir()
    (tmp_path / 'alias').symlink_to(images)
    for inputs in ([images], [tmp_path / 'alias'], [out / '../out/masks']):
        with pytest.raises(ValueError, match='masks is read as input'):
            OutputFolder(out, inputs=inputs).path_of('a', '.png', folder='masks')
        OutputFolder(out, inputs=inputs).path_of('a', '.png', folder='cams')


def test_own_files_may_be_written_over(out):
    scores = np.ones((2, 2, 3))
    save_mask(out / 'a.png', MASK, PALETTE)
    save_picture(out / 'b.png', np.zeros((2, 3, 3), np.uint8))
    save_cam(out / 'a.npz', [0], np.ones((1, 2, 3)))
    save_scores(out / 'b.npz', [0], scores, scores)
    for name in ('a', 'b'):
        for suffix in ('.png', '.npz'):
            assert OutputFolder(out).path_of(name, suffix).is_file()


def test_other_files_are_not_written_over(out):
    Image.new('P', (3, 2)).save(out / 'a.png')
    (out / 'b.png').write_bytes(b'damaged')
    np.savez(out / 'a.npz', classes=[0], weights=[1])
    np.save(out / 'b.npz.npy', [0])
    (out / 'b.npz.npy').rename(out / 'b.npz')
    save_mask(out / 'own.png', MASK, PALETTE)
    (out / 'c.png').symlink_to(out / 'own.png')
    (out / 'd.png').symlink_to(out / 'nowhere')
    (out / 'e.png').mkdir()
    for name in ('a.png', 'b.png', 'a.npz', 'b.npz', 'c.png', 'd.png', 'e.png'):
        stem, suffix = os.path.splitext(name)
        with pytest.raises(ValueError, match=f'{name} is there already and was not'):
            OutputFolder(out).path_of(stem, suffix)


def test_files_of_this_run_may_be_written_again(out):
    folder = OutputFolder(out)
    folder.path_of('a', '.png').write_bytes(b'')
    assert folder.path_of('a', '.png') == out / 'a.png'
