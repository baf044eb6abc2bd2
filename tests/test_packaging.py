import hashlib
import os
import re
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import wsss_mm

FILES = (
    'runtime',
    'mminstall',
    'openmmlab',
    'crf',
    'weights',
    'tests',
    'docs',
    'tested',
)
PYTHONS = ('3.10', '3.11', '3.12')


def requirements(root, name):
    lines = (root / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [
        Requirement(line) for line in lines if line.strip() and not line.startswith('#')
    ]


def pins_for(root, python):
    """The pinned version of each package on one Python version."""
    pins = {}
    for item in requirements(root, 'tested'):
        environment = {'python_version': python, 'platform_system': 'Linux'}
        if item.marker and not item.marker.evaluate(environment):
            continue
        name = canonicalize_name(item.name)
        assert name not in pins, f'{name} is pinned twice on Python {python}'
        (pin,) = item.specifier
        assert pin.operator == '=='
        pins[name] = pin.version
    return pins


@pytest.mark.parametrize('name', FILES)
def test_requirement_files_parse(root, name):
    items = requirements(root, name)
    assert items or name == 'docs'
    assert all(item.url is None for item in items)


@pytest.mark.parametrize('python', PYTHONS)
@pytest.mark.parametrize('name', ['runtime', 'mminstall', 'tests', 'crf', 'weights'])
def test_tested_versions_meet_the_requirements(root, python, name):
    pins = pins_for(root, python)
    for item in requirements(root, name):
        pin = pins[canonicalize_name(item.name)]
        assert item.specifier.contains(pin), f'{item} on Python {python}: {pin}'


def test_newer_pythons_get_versions_that_are_no_older(root):
    old, new = pins_for(root, '3.10'), pins_for(root, '3.12')
    for name in old.keys() & new.keys():
        assert Version(new[name]) >= Version(old[name])


def run_setup(root, *args):
    command = [sys.executable, 'setup.py', *args]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split('\n')


def test_setup_reads_version_and_name(root):
    pytest.importorskip('setuptools')
    lines = run_setup(root, '--quiet', '--name', '--version')
    assert lines[-3:] == ['wsss_mm', wsss_mm.__version__, '']


# To be moved into the package.
SOURCES = (
    *('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE'),
    *('model-index.yml', 'requirements', 'configs', 'tools', 'wsss_mm'),
)


def test_the_model_index_lists_every_metafile(root):
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    files = [
        path.relative_to(root).as_posix()
        for path in sorted((root / 'configs').glob('*/metafile.yml'))
    ]
    assert index == {'Import': files}


def test_tools_only_read_arguments(root):
    tools = [*(root / 'tools').glob('*.py'), *(root / 'tools').glob('*/*.py')]
    others = {'analysis_tools', 'dataset_converters'}
    short = [path for path in tools if path.parent.name not in others]
    assert len(short) >= 9
    long = {path.name for path in short if len(path.read_text().splitlines()) > 60}
    assert long == set()


def test_changelog_knows_the_version_or_has_it_in_the_making(root):
    text = (root / 'CHANGELOG.md').read_text()
    assert f'## [{wsss_mm.__version__}]' in text or '## [Unreleased]' in text


def test_every_folder_of_the_package_is_found_by_setup(root):
    folders = {path.parent for path in (root / 'wsss_mm').rglob('*.py')}
    missing = [folder for folder in folders if not (folder / '__init__.py').is_file()]
    assert not missing, 'find_packages skips a folder without __init__.py'


def table_rows(root, heading):
    section = (root / 'README.md').read_text().split(f'## {heading}\n')[1]
    lines = section.split('\n## ')[0].splitlines()
    return [line.split('|')[1:-1] for line in lines if line.startswith('| ')]


def quoted(cell):
    return re.findall(r'`([^`]+)`', cell)


def test_names_in_the_stage_table_exist(root):
    from mmengine.config import Config
    from mmengine.utils import import_modules_from_strings

    from wsss_mm.registry import HOOKS, METRICS, MODELS, TASK_UTILS, TRANSFORMS

    registries = (MODELS, HOOKS, METRICS, TASK_UTILS, TRANSFORMS)
    cfg = Config.fromfile(str(root / 'configs' / '_base_' / 'default_runtime.py'))
    import_modules_from_strings(**cfg.custom_imports)
    rows = table_rows(root, 'The stages')[1:]
    assert [row[0].strip() for row in rows] == list('123456')
    for _, _, maths, registered, command, _ in rows:
        for name in quoted(maths):
            assert (root / 'wsss_mm' / 'functional' / f'{name}.py').is_file(), name
        for name in quoted(registered):
            found = [r.get(name) for r in registries if name in r]
            assert found, f'{name} is not registered'
            assert found[0].__module__.startswith('wsss_mm.')
        for name in quoted(command):
            assert (root / name.split()[0]).is_file(), name


def test_commands_and_folders_in_the_readme_exist(root):
    commands = [cell for row in table_rows(root, 'Commands') for cell in quoted(row[0])]
    assert len(commands) > 5
    for command in commands:
        program, name = command.split()[:2]
        file = {'wsss': f'wsss_mm/cli/{name}.py', 'python': name}[program]
        assert (root / file).is_file(), command
    for row in table_rows(root, 'Methods')[1:]:
        for folder in quoted(row[2]):
            assert list((root / folder).glob('*.py')), folder
    for row in table_rows(root, 'Dependency stacks')[1:]:
        (file,) = quoted(row[2])
        assert (root / file).is_file(), file


def test_the_example_of_the_readme_builds(root, tmp_path):
    import numpy as np
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings
    from PIL import Image

    from wsss_mm.datasets.tags import read_tag_file
    from wsss_mm.registry import DATASETS, METRICS

    text = (root / 'README.md').read_text()
    examples = re.findall(r'```python\n(# configs/(\w+\.py)\n.+?)```', text, re.DOTALL)
    (table,) = re.findall(r'```csv\n(.+?)```', text, re.DOTALL)
    base = root / 'configs' / 'seam'
    for code, name in examples:
        (tmp_path / name).write_text(code.replace("'seam/", f"'{base.as_posix()}/"))
    (tmp_path / 'tags.csv').write_text(table)
    (rows,) = re.findall(r'```json\n(.+?)```', text, re.DOTALL)
    (tmp_path / 'tags.json').write_text(rows)
    classes = ('bottle', 'box', 'tin')
    in_table = read_tag_file(tmp_path / 'tags.csv', classes)
    in_json = read_tag_file(tmp_path / 'tags.json', classes)
    assert in_json == {name: in_table[name] for name in in_json}
    assert len(in_json) == 3
    for line in table.splitlines()[1:]:
        path = tmp_path / 'images' / line.split(',')[0]
        path = path if path.suffix else path.with_suffix('.jpg')
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(path)
    cfg = Config.fromfile(str(tmp_path / 'shelf.py'))
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build({**loader.dataset, 'data_root': str(tmp_path)})
        labels = [sample['data_samples'].image_labels.tolist() for sample in dataset]
        assert labels == [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert 'seg_map_path' not in str(cfg.train_dataloader)
    assert cfg.model.decode_head.type == 'SEAMHead'
    assert len(dataset.metainfo['classes']) == cfg.model.decode_head.num_classes
    for metric in cfg.val_evaluator:
        METRICS.build(metric)
    segmenter = Config.fromfile(str(tmp_path / 'shelf_deeplabv1.py'))
    assert segmenter.train_dataloader.dataset.type == 'ImageLabelDataset'
    assert segmenter.model.decode_head.type == 'DeepLabV1Head'
    assert segmenter.model.decode_head.num_classes == len(dataset.metainfo['classes'])


def run_make(root, *args, path=None):
    environment = dict(os.environ, PATH=path or os.environ['PATH'])
    for key in ('PYTHON', 'VENV', 'MAKEFLAGS', 'MAKELEVEL', 'MFLAGS'):
        environment.pop(key, None)
    return subprocess.run(
        ['make', '--no-print-directory', *args],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def tools_only(tmp_path):
    """A PATH with the shell tools that make needs, and no Python."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name in ('make', 'sh', 'dirname', 'rm', 'grep', 'touch', 'sed', 'tail'):
        for parent in os.environ['PATH'].split(os.pathsep):
            if os.access(os.path.join(parent, name), os.X_OK):
                (folder / name).symlink_to(os.path.join(parent, name))
                break
        else:
            pytest.skip(f'this machine has no {name}')
    return folder


def add_python(folder, version, venv=True):
    """A stand-in that answers what make_env.sh asks a Python."""
    script = folder / 'python3'
    answer = 0 if venv else 1
    script.write_text(
        '#!/bin/sh\n'
        f'case "$*" in *version_info*) echo {version} ;; '
        f'*ensurepip*) exit {answer} ;; *hashlib*) echo abc ;; esac\n'
    )
    script.chmod(0o755)


def test_no_python_is_said_in_clear_words(root, tools_only, tmp_path):
    path, venv = str(tools_only), f'VENV={tmp_path / "env"}'
    done = run_make(root, 'env', venv, path=path)
    assert done.returncode != 0
    assert 'no Python 3.10, 3.11 or 3.12 on the PATH' in done.stderr
    add_python(tools_only, '3.13')
    done = run_make(root, 'env', venv, path=path)
    assert 'python3 is Python 3.13' in done.stderr
    add_python(tools_only, '3.11', venv=False)
    done = run_make(root, 'env', venv, path=path)
    assert 'apt-get install python3.11-venv' in done.stderr
    assert not (tmp_path / 'env').exists()


def test_a_folder_that_is_no_environment_is_kept(root, tools_only, tmp_path):
    add_python(tools_only, '3.12')
    (tmp_path / 'keep').write_text('mine')
    done = run_make(root, 'env', f'VENV={tmp_path}', path=str(tools_only))
    assert done.returncode != 0
    assert 'is not a Python environment' in done.stderr
    assert (tmp_path / 'keep').read_text() == 'mine'


def test_a_finished_environment_is_reused_until_the_pins_change(root, tmp_path):
    environment = tmp_path / 'env'
    (environment / 'bin').mkdir(parents=True)
    (environment / 'bin' / 'python').symlink_to(sys.executable)
    script = (root / 'tools' / 'make_env.sh').read_text()
    assert '.ready-$hash' in script
    pins = (root / 'requirements' / 'tested.txt').read_bytes()
    probe = 'import sys; print(sys.version, end="")'
    for name in ('python3.12', 'python3.11', 'python3.10', 'python3'):
        try:
            version = subprocess.run([name, '-c', probe], capture_output=True).stdout
        except FileNotFoundError:
            continue
        digest = hashlib.sha256(pins + version).hexdigest()[:16]
        (environment / f'.ready-{digest}').touch()
    parts = ('setup.py', 'pyproject.toml', 'wsss_mm/__init__.py')
    installed = b''.join((root / name).read_bytes() for name in parts)
    digest = hashlib.sha256(os.fsencode(root) + installed).hexdigest()[:16]
    (environment / f'.installed-{digest}').touch()
    before = sorted(path.name for path in environment.iterdir())
    done = run_make(root, 'env', f'VENV={environment}')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert sorted(path.name for path in environment.iterdir()) == before
    for stamp in environment.glob('.ready-*'):
        stamp.rename(environment / '.ready-of-other-pins')
    done = run_make(root, 'env', f'VENV={environment}')
    assert 'is not a Python environment' in done.stderr  # it would build anew


def test_another_checkout_or_set_up_is_installed_again(root, tools_only, tmp_path):
    """A stand-in for Python notes what pip is asked for."""
    add_python(tools_only, '3.12')
    environment = tmp_path / 'env'
    (environment / 'bin').mkdir(parents=True)
    for name in ('.ready-abc', '.installed-other'):
        (environment / name).touch()
    python = environment / 'bin' / 'python'
    python.write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/asked.txt"\n')
    python.chmod(0o755)
    for _ in range(2):
        done = run_make(root, 'env', f'VENV={environment}', path=str(tools_only))
        assert done.returncode == 0, done.stderr
    (asked,) = (tmp_path / 'asked.txt').read_text().splitlines()
    assert asked.startswith('-m pip install')
    assert asked.endswith('--no-deps --no-build-isolation -e .')
    marks = sorted(path.name for path in environment.glob('.*'))
    assert marks == ['.installed-abc', '.ready-abc']


def test_what_a_missing_crf_needs_is_said(root, tools_only, tmp_path):
    script = (root / 'tools' / 'make_env.sh').read_text()
    start = script.index('explain_no_crf() {')
    function = script[start : script.index('\n}\n', start) + 3]
    (tmp_path / 'crf.log').write_text('error: command failed\n')
    (tmp_path / 'bin' / 'python').symlink_to('/bin/false')
    code = 'say() { echo "$*"; }\n' + function + 'explain_no_crf'

    def run():
        return subprocess.run(
            ['sh', '-c', code],
            env={'PATH': str(tools_only), 'venv': str(tmp_path), 'version': '3.11'},
            capture_output=True,
            text=True,
        )

    done = run()
    assert done.returncode == 0, done.stderr
    assert 'no C++ compiler. On Debian or Ubuntu: apt-get install g++' in done.stdout
    assert 'error: command failed' in done.stderr
    (tools_only / 'g++').symlink_to('/bin/true')
    done = run()
    assert 'apt-get install python3.11-dev' in done.stdout
    assert 'everything but dense CRF works' in done.stdout


def test_an_own_environment_is_checked(root, tmp_path):
    done = run_make(root, 'env', f'PYTHON={sys.executable}')
    assert done.returncode == 0, done.stderr
    bare = subprocess.run(
        [sys.executable, '-S', '-I', str(root / 'tools' / 'check_env.py'), '--tests'],
        capture_output=True,
        text=True,
    )
    assert bare.returncode == 1
    for word in ('torch', 'mmseg', 'pytest', 'pip install -r requirements/'):
        assert word in bare.stderr
