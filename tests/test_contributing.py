"""CONTRIBUTING.md quotes the files of examples/, and its commands run as they stand."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.refinement import PowerBackground, SeedFiles, seed_mask

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
QUOTED = dict(re.findall(r'```python\n# examples/(\S+)\n(.*?)```', PAGE, re.DOTALL))
COMMANDS = re.findall(r'```sh\n(.*?)```', PAGE, re.DOTALL)
CLASSES = ('bottle', 'box', 'tin')
# Mean of the class that is drawn, in the order of CLASSES.
SHADES = (40, 120, 200)


def test_the_code_on_the_page_is_that_of_the_examples():
    files = {
        path.name: path.read_text(encoding='utf-8')
        for path in (ROOT / 'examples').glob('*.py')
        if not path.name.startswith('test_')
    }
    assert files == QUOTED
    assert PAGE.count('```python') == len(files)


def write_photographs(folder):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, shade in zip(CLASSES, SHADES):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.normal(shade, 20, (70, 90, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{number}.jpg')


@pytest.fixture(scope='module')
def followed(tmp_path_factory):
    """Follow the page in a copy of the checkout, in fresh processes."""
    place = tmp_path_factory.mktemp('page')
    for name in ('configs', 'examples', 'pyproject.toml', 'tools'):
        (place / name).symlink_to(ROOT / name)
    write_photographs(place / 'data/shelf/images')
    (place / 'bin').mkdir()
    (place / 'bin/python').write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (place / 'bin/python').chmod(0o755)
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', '\n'.join(COMMANDS)],
        cwd=place,
        env=dict(
            os.environ,
            PATH=f'{place / "bin"}{os.pathsep}{os.environ["PATH"]}',
            PYTHONPATH=str(ROOT),  # stands for an installed wsss_mm
            OMP_NUM_THREADS='1',
        ),
        capture_output=True,
        text=True,
        timeout=900,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    return SimpleNamespace(place=place, work=place / 'work_dirs', printed=printed)


def test_the_tests_of_the_examples_run(followed):
    assert re.search(r'\b\d+ passed', followed.printed, re.MULTILINE)
    assert ' failed' not in followed.printed


def test_the_method_trains_and_makes_cams(followed):
    work = followed.work / 'soft_max_cam'
    assert (work / 'iter_2.pth').is_file()
    cfg = Config.fromfile(
        work / 'soft_max_cam_r18_synth.py', import_custom_modules=False
    )
    assert cfg.model.decode_head.type == 'SoftMaxCAMHead'
    files = sorted((work / 'cams').glob('*.npz'))
    assert len(files) >= 8
    for path in files:
        assert np.isfinite(load_cam(path)[1]).all()


def test_the_refiner_makes_its_masks(followed):
    work = followed.work / 'soft_max_cam'
    background = PowerBackground(alpha=12)  # that of the config below the examples
    images = followed.place / 'data/synth_voc/JPEGImages'
    refined = sorted((work / 'masks_smooth').glob('*.png'))
    assert len(refined) == len(list((work / 'masks').glob('*.png')))
    changed = 0
    for path in refined:
        files = SeedFiles(images / f'{path.stem}.jpg', work / f'cams/{path.stem}.npz')
        seed = background(files())
        smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 2.0) for one in seed.scores])
        wanted = seed_mask(replace(seed, scores=smooth))
        assert np.array_equal(load_mask(path), wanted)
        changed += (wanted != seed_mask(seed)).sum()
    assert changed


def test_the_dataset_trains(followed):
    assert (followed.work / 'shelf/iter_2.pth').is_file()
    assert 'tag AP: bottle' in followed.printed


def test_tags_are_the_names_of_the_folders(followed):
    code = (
        'import sys; from folder_names import FolderNamesDataset\n'
        'found = FolderNamesDataset(data_root=sys.argv[1], tags="images",\n'
        '    data_prefix=dict(img_path="images"),\n'
        '    metainfo=dict(classes=("background", *sys.argv[2:])))\n'
        'for item in map(found.get_data_info, range(len(found))):\n'
        '    print(item["img_id"], item["image_labels"].tolist())\n'
    )

    def run(*classes):
        return subprocess.run(
            [sys.executable, '-c', code, followed.place / 'data/shelf', *classes],
            env=dict(os.environ, PYTHONPATH=f'{ROOT}{os.pathsep}{ROOT / "examples"}'),
            capture_output=True,
            text=True,
            timeout=100,
        )

    lines = [line for line in run(*CLASSES).stdout.splitlines() if '/' in line]
    assert lines == [
        *('bottle/0 [1.0, 0.0, 0.0]', 'bottle/1 [1.0, 0.0, 0.0]'),
        *('box/0 [0.0, 1.0, 0.0]', 'box/1 [0.0, 1.0, 0.0]'),
        *('tin/0 [0.0, 0.0, 1.0]', 'tin/1 [0.0, 0.0, 1.0]'),
    ]
    assert (
        'its folder is not one of the classes bottle, can'
        in run('bottle', 'can').stderr
    )
