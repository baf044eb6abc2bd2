"""The wheel: what it holds, and the whole job done with it outside of any checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version
from PIL import Image

import wsss_mm

# What a wheel is made of.
SOURCES = (
    *('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE'),
    *('model-index.yml', 'requirements', 'configs', 'tools', 'wsss_mm'),
)


def pip(*args, **kwargs):
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', *args]
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope='session')
def wheel(root, tmp_path_factory):
    """The wheel, built from a copy of what it is made of."""
    pytest.importorskip('pip')
    if find_spec('setuptools') is None:
        pytest.skip('setuptools is not installed')
    if Version(version('setuptools')) < Version('70.1') and find_spec('wheel') is None:
        pytest.skip('an old setuptools needs the package wheel')
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    ignore = shutil.ignore_patterns('__pycache__', '*.pyc', '.mim')
    for name in SOURCES:
        if (root / name).is_dir():
            shutil.copytree(root / name, source / name, ignore=ignore)
        else:
            shutil.copy(root / name, source / name)
    options = ('--no-deps', '--no-build-isolation', '--no-index', '-q')
    pip('wheel', '.', *options, '-w', str(folder / 'dist'), cwd=source)
    (file,) = (folder / 'dist').glob('wsss_mm-*.whl')
    return file


@pytest.fixture(scope='session')
def installed(wheel, tmp_path_factory):
    """Run Python in a folder of its own where only the wheel has our modules."""
    target = tmp_path_factory.mktemp('installed')
    pip('install', '--no-deps', '--no-index', '-q', '--target', str(target), str(wheel))
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    environment = {**os.environ, 'PYTHONPATH': str(target)}

    def run(*args):
        return subprocess.run(
            [sys.executable, *args],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
        )

    def shell(line):
        path = f'{target / "bin"}:{Path(sys.executable).parent}:{os.environ["PATH"]}'
        return subprocess.run(
            ['bash', '-c', line],
            cwd=elsewhere,
            env={**environment, 'PATH': path, 'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
        )

    run.target = target
    run.folder = elsewhere
    run.shell = shell
    return run


def files_below(folder):
    return {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


def test_the_wheel_has_modules_configs_tools_and_index(root, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f'wsss_mm-{wsss_mm.__version__}.dist-info'
        scripts = archive.read(f'{info}/entry_points.txt').decode()
        metadata = archive.read(f'{info}/METADATA').decode()
    modules = {path for path in files_below(root / 'wsss_mm') if '/.mim/' not in path}
    extra = {*files_below(root / 'configs'), *files_below(root / 'tools')}
    shipped = {f'wsss_mm/.mim/{name}' for name in (*extra, 'model-index.yml')}
    assert 'wsss_mm/py.typed' in modules
    assert len(extra) > 100
    found = {name for name in names if name.startswith('wsss_mm/')}
    assert found == modules | shipped
    assert {name.split('/')[0] for name in names} == {'wsss_mm', info}
    assert 'wsss = wsss_mm.cli.main:main' in scripts
    assert 'Requires-Python: >=3.10' in metadata
    for extra_name in ('crf', 'mminstall', 'tests'):
        assert f'Provides-Extra: {extra_name}' in metadata


def test_the_wheel_works_outside_of_any_checkout(installed):
    done = installed('-m', 'wsss_mm', '--help')
    assert done.returncode == 0, done.stderr
    assert 'doctor' in done.stdout
    code = (
        'import wsss_mm\n'
        'from wsss_mm.workflow.config_files import find_config\n'
        'print(wsss_mm.__file__)\nprint(find_config("seam_r38_voc"))'
    )
    done = installed('-c', code)
    assert done.returncode == 0, done.stderr
    package = installed.target / 'wsss_mm'
    config = package / '.mim' / 'configs' / 'seam' / 'seam_r38_voc.py'
    assert done.stdout.split() == [str(package / '__init__.py'), str(config)]
    done = installed('-m', 'wsss_mm', 'doctor')
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'in {package}' in done.stdout
    assert 'nothing is broken' in done.stdout
    # Its messages name commands that are there.
    done = installed('-m', 'wsss_mm', 'doctor', 'seam_r38_coco', '--workers', '1')
    assert done.returncode == 1, done.stderr
    (tool,) = re.findall(r'python (\S+/coco14.py)', done.stdout)
    assert os.path.isfile(tool)
    assert installed(tool, '--help').returncode == 0


def test_the_command_is_installed(installed):
    script = installed.target / 'bin' / 'wsss'
    done = installed(str(script), '--version')
    assert done.stdout == f'wsss_mm {wsss_mm.__version__}\n'


LOADERS = tuple(f'{split}_dataloader' for split in ('train', 'val', 'test'))
SHORT = (
    *(f'{loader}.num_workers=0' for loader in LOADERS),
    *('train_dataloader.batch_size=2', 'train_cfg.max_iters=2'),
    *('train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2'),
)
START = 'work_dirs/cam_r18_synth_pretrain/iter_2.pth'
ADDED = {
    'train cam_r18_synth_pretrain': SHORT,
    'train cam_r18_synth': (*SHORT, f'load_from={START}'),
    'train cam_r18_synth_deeplabv2': (
        *SHORT,
        f'model.backbone.init_cfg.checkpoint={START}',
    ),
    'cams cam_r18_synth': ('test_dataloader.num_workers=0',),
    'test cam_r18_synth_deeplabv2': ('test_dataloader.num_workers=0',),
}


def shortened(line):
    """Make a command of the README small: few images, two steps."""
    words = line.split(' #')[0].strip()
    options = ' '.join(ADDED.get(' '.join(words.split()[1:3]), ()))
    if not options:
        return words.replace('train=600, val=200', 'train=6, val=2, size=64')
    if '--cfg-options' in words:
        return f'{words} {options}'
    return f'{words} --cfg-options {options}'


@pytest.mark.skipif(
    find_spec('pydensecrf') is None,
    reason='dense CRF is not installed (requirements/crf.txt)',
)
def test_the_whole_job_is_done_by_the_wheel_alone(root, installed):
    section = (root / 'README.md').read_text().split('## The stages\n')[1]
    (block,) = re.findall(r'```sh\n(.+?)```', section.split('\n## ')[0], re.DOTALL)
    lines = [line for line in block.splitlines() if line]
    verbs = [line.split()[1] for line in lines[1:]]
    used = ['train', 'train', 'cams', 'refine', 'eval', 'train', 'test', 'predict']
    assert verbs == used
    for line in lines:
        done = installed.shell(shortened(line))
        assert done.returncode == 0, f'{line}\n{done.stdout}{done.stderr}'
        if ' eval ' in line:
            assert 'mIoU' in done.stdout
    folder = installed.folder
    assert len(list((folder / 'work/cams').glob('*.npz'))) == 8
    photo = next((folder / 'data/synth_voc/JPEGImages').glob('*.jpg'))
    mask = np.array(Image.open(folder / 'predictions/masks' / f'{photo.stem}.png'))
    assert mask.shape == np.array(Image.open(photo)).shape[:2]
    # The three-line example, on what was just trained.
    code = (
        'from wsss_mm import CAMInferencer\n'
        "inferencer = CAMInferencer('cam_r18_synth', 'work/cam')\n"
        f"(result,) = inferencer({str(photo)!r}, tags=['ring'], refine='crf')\n"
        "result.save('out')\n"
        'print(result.classes, result.mask.shape)'
    )
    done = installed('-c', code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"('ring',) {mask.shape}"
    saved = np.array(Image.open(folder / 'out/masks' / f'{photo.stem}.png'))
    assert saved.shape == mask.shape


def test_a_new_project_inherits_from_the_wheel(installed, tmp_path):
    photos = tmp_path / 'photos'
    for name in ('cat/a.jpg', 'dog/b.jpg'):
        (photos / name).parent.mkdir(parents=True)
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(photos / name)
    done = installed('-m', 'wsss_mm', 'new', str(photos), '--out', str(tmp_path / 'p'))
    assert done.returncode == 0, done.stdout + done.stderr
    config = tmp_path / 'p' / 'photos.py'
    assert f'now: wsss run {config}' in done.stdout
    base = installed.target / 'wsss_mm' / '.mim' / 'configs' / 'cam'
    assert f"'{base}/cam_" in config.read_text()
    (segmenter,) = (tmp_path / 'p').glob('photos_deeplab*.py')
    for path in (config, segmenter):
        done = installed('-m', 'wsss_mm', 'doctor', str(path), '--workers', '1')
        assert '2 of 2 images' in done.stdout, done.stdout + done.stderr
