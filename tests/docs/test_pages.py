"""The code of the documentation's pages runs as it stands, in fresh processes.

A block below ``<!-- not run: reason -->`` needs data, weights or GPUs: its commands,
their options and the config keys they set are checked instead.
"""

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from wsss_mm.cli.main import available
from wsss_mm.cli.messages import DEBUG
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_files import find_config
from wsss_mm.workflow.launch import load_config

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r'(?P<mark><!-- not run: [^>]+ -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)```', re.DOTALL
)
PAGES = sorted(
    path.name for path in (ROOT / 'docs').glob('*.md') if '```' in path.read_text()
)


def blocks_of(page):
    text = (ROOT / 'docs' / page).read_text(encoding='utf-8')
    return [
        (bool(one['mark']), one['kind'], one['code']) for one in BLOCK.finditer(text)
    ]


def test_every_block_is_of_a_kind_that_is_checked():
    for page in PAGES:
        text = (ROOT / 'docs' / page).read_text(encoding='utf-8')
        assert text.count('```') == 2 * len(blocks_of(page)), page
        for marked, kind, code in blocks_of(page):
            assert kind in ('python', 'sh', 'bibtex', 'json', 'csv'), (page, code)
            assert kind == 'sh' or not marked, (page, code)


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    """Environment of a shell in which wsss_mm is installed, without PYTHONPATH."""
    place = tmp_path_factory.mktemp('bin')
    for name, code in {'python': '', 'wsss': '-m wsss_mm '}.items():
        script = place / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {code}"$@"\n')
        script.chmod(0o755)
    clean = {key: text for key, text in os.environ.items() if key != 'PYTHONPATH'}
    clean.pop(DEBUG, None)
    clean.update(PATH=f'{place}{os.pathsep}{clean["PATH"]}', OMP_NUM_THREADS='1')
    ask = 'import wsss_mm; print(wsss_mm.__path__[0])'
    found = subprocess.run(
        [sys.executable, '-c', ask],
        cwd=place,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    if Path(found.stdout.strip() or '.').resolve() != ROOT / 'wsss_mm':
        clean['PYTHONPATH'] = str(ROOT)  # stands for an installed wsss_mm
    return clean


def run_block(kind, code, folder, environment):
    if kind == 'python':
        named = re.match(r'# (\w+\.py)\n', code)
        name = named[1] if named else 'pasted.py'
        (folder / name).write_text(code, encoding='utf-8')
        command = ['python', name]
        if '_base_' in code:
            load = 'from wsss_mm.workflow.launch import load_config as l; '
            command = ['python', '-c', f'{load}l({name!r})']
            environment = dict(environment)
            # A config imports modules of its folder by name.
            path = [environment.get('PYTHONPATH'), '.']
            environment['PYTHONPATH'] = os.pathsep.join(filter(None, path))
    else:
        command = ['bash', '-euo', 'pipefail', '-c', code]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f'{code}\n{(done.stdout + done.stderr)[-3000:]}'
    return done.stdout + done.stderr


# The two pages that are as old as the project quote commands of long runs.
RUN = [page for page in PAGES if page not in ('protocol.md', 'results.md')]


@pytest.mark.parametrize('page', RUN)
def test_the_blocks_of_a_page_run_one_after_the_other(page, environment, tmp_path):
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    printed = ''
    for marked, kind, code in blocks_of(page):
        if not marked and kind in ('python', 'sh'):
            printed += run_block(kind, code, tmp_path, environment)
    if page == 'quick_start.md':
        first = tmp_path / 'work_dirs/first'
        for name in ('report.html', 'results.json', 'cams', 'masks_pamr'):
            assert (first / name).exists()
        assert len(list((first / 'predictions/masks').iterdir())) == 4
        assert len(list((tmp_path / 'work_dirs/looked_at/pictures').iterdir())) == 1


def commands_of(code):
    pending = ''
    for line in code.replace('\\\n', ' ').splitlines():
        pending += line + '\n'
        if pending.count('"') % 2:
            continue  # a quoted text goes on
        words, pending = shlex.split(pending, comments=True), ''
        while words and re.fullmatch(r'\w+=.*', words[0], re.DOTALL):
            words = words[1:]
        if words:
            yield words


def check_command(words):
    tool, *arguments = words
    if tool in ('pip', 'source', 'make'):
        return
    if tool != 'wsss':
        script = arguments[0] if Path(tool).name == 'python' else tool
        assert (ROOT / script).is_file(), words
        return
    name, *arguments = arguments
    assert name in available(), words
    if '--help' in arguments:
        return
    import argparse

    module = importlib.import_module(f'wsss_mm.cli.{name}')
    parser = argparse.ArgumentParser(prog=f'wsss {name}')
    module.add_arguments(parser)
    args = parser.parse_args(arguments)
    config = getattr(args, 'config', None)
    try:
        shipped = config is not None and find_config(config)
    except InputError:
        return  # one that the reader writes
    if shipped:
        given = args.cfg_options or {}
        if isinstance(given, list):
            from wsss_mm.cli.command_line import parse_options

            given = parse_options(given)
        load_config(config, given)


@pytest.mark.parametrize('page', PAGES)
def test_commands_that_are_not_run_exist_and_take_their_options(page):
    for marked, kind, code in blocks_of(page):
        if kind == 'sh' and (marked or page not in RUN):
            for words in commands_of(code):
                check_command(words)


# --- their flag, our key

CONFIGS = {
    'SEAM': 'seam_r38_voc',
    'PSA': 'affinitynet_r38_voc',
    'Puzzle-CAM': 'puzzle_cam_resnest101_voc',
    'IRN': 'puzzle_cam_r50_voc',
}


@pytest.mark.parametrize('method', CONFIGS)
def test_the_keys_of_the_migration_page_exist(method):
    text = (ROOT / 'docs/migration.md').read_text(encoding='utf-8')
    (section,) = re.findall(rf'^## {method}\n(.*?)(?=^## )', text, re.M | re.S)
    keys = re.findall(r'`([a-z_]+(?:\.[a-z_0-9]+)+)', section)
    config = load_config(CONFIGS[method])
    assert len(keys) >= 3
    for key in keys:
        place = config
        for part in key.split('.'):
            if part in place:
                place = place[part]
                continue
            # Not in the config, but what it is for takes it: else this is refused.
            load_config(CONFIGS[method], {key: 1})
            break


@pytest.mark.skipif(
    importlib.util.find_spec('mkdocstrings') is None,
    reason='the documentation is not installed (requirements/docs.txt)',
)
def test_the_site_builds_without_a_warning(tmp_path):
    command = ['mkdocs', 'build', '--strict', '-q', '-d', str(tmp_path)]
    done = subprocess.run(
        [sys.executable, '-m', *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_module_of_the_reference_exists():
    pages = sorted((ROOT / 'docs/api').glob('*.md'))
    assert len(pages) >= 7
    for page in pages:
        names = re.findall(r'^::: (\S+)$', page.read_text(), re.M)
        assert names
        for name in names:
            assert importlib.util.find_spec(name) is not None, name


def test_every_module_of_the_maths_and_every_head_is_in_the_reference():
    text = ''.join(path.read_text() for path in (ROOT / 'docs/api').glob('*.md'))
    for room in ('functional', 'models/decode_heads', 'engine/hooks', 'refinement'):
        for path in (ROOT / 'wsss_mm' / room).glob('[a-z]*.py'):
            name = f'wsss_mm.{room.replace("/", ".")}.{path.stem}'
            assert f'::: {name}\n' in text, name


def test_the_links_of_quoted_pages_lead_into_the_site():
    spec = importlib.util.spec_from_file_location('links', ROOT / 'docs/links.py')
    links = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(links)
    cases = {
        ('methods/seam.md', '[r](../../docs/results.md)'): '[r](../results.md)',
        ('results.md', '[x](../configs/cam/README.md#a)'): '[x](methods/cam.md#a)',
        ('contributing.md', '[x](tools/train.py)'): 'x (`tools/train.py`)',
        ('faq.md', '[x](https://a.b/c.md)'): '[x](https://a.b/c.md)',
        ('faq.md', '![x](images/a.png)'): '![x](images/a.png)',
        ('faq.md', '[x](protocol.md#one-seed)'): '[x](protocol.md#one-seed)',
    }
    for (page, text), expected in cases.items():
        assert links.with_site_links(text, page) == expected
