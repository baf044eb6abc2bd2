"""What a public repository has beside its code agrees with it."""

import re

import pytest
import yaml

import wsss_mm


def read(path):
    return yaml.safe_load(path.read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def jobs(root):
    return read(root / '.github/workflows/test.yml')['jobs']


def test_the_public_workflow_runs_what_ours_runs(root, jobs):
    steps = [step.get('run') for step in jobs['test']['steps']]
    assert steps[-1] == '.ci/run'
    versions = jobs['test']['strategy']['matrix']['python-version']
    script = (root / 'tools/make_env.sh').read_text(encoding='utf-8')
    (known,) = re.findall(r'^\s+(3\.\d+(?: \| 3\.\d+)+)\)$', script, re.MULTILINE)[:1]
    assert versions == known.split(' | ')
    assert jobs['test']['steps'][-1]['env'] == {'BASE_PYTHON': 'python'}
    assert '${BASE_PYTHON:-}' in script


def test_the_oldest_versions_are_those_of_the_requirements(root, jobs):
    said = ' '.join(step.get('run', '') for step in jobs['openmmlab']['steps'])
    pins = (root / 'requirements/openmmlab.txt').read_text(encoding='utf-8')
    for name in ('torch', 'torchvision', 'mmcv'):
        pin = re.search(rf'^{name}==\S+$', pins, re.MULTILINE)[0]
        assert f'"{pin}"' in said


def test_the_citation_is_of_this_version(root):
    citation = read(root / 'CITATION.cff')
    assert citation['version'] == wsss_mm.__version__
    log = (root / 'CHANGELOG.md').read_text(encoding='utf-8')
    assert f'## [{citation["version"]}] - {citation["date-released"]}' in log


def test_what_is_checked_before_a_commit_is_what_make_lint_checks(root):
    hooks = read(root / '.pre-commit-config.yaml')['repos'][0]['hooks']
    lint = (root / 'Makefile').read_text(encoding='utf-8')
    for hook, command in (('ruff', 'ruff check'), ('ruff-format', 'ruff format')):
        (entry,) = [one['entry'] for one in hooks if one['id'] == hook]
        assert command in entry
        assert command in lint
    assert [one['entry'] for one in hooks if one['id'] == 'mypy'] == ['python -m mypy']


@pytest.mark.parametrize('name', ['bug', 'method'])
def test_issue_forms_ask_for_something(root, name):
    form = read(root / f'.github/ISSUE_TEMPLATE/{name}.yml')
    assert {'name', 'description', 'body'} <= set(form)
    required = [
        part for part in form['body'] if part.get('validations', {}).get('required')
    ]
    assert required
