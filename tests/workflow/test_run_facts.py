import json
import subprocess
import sys

import pytest
from mmengine.config import Config

from wsss_mm.workflow.logged import logged_figure
from wsss_mm.workflow.run_facts import (
    commit_of,
    duration,
    facts_of_run,
    shown_facts,
)


@pytest.mark.parametrize(
    'seconds, text',
    [
        (0, '0 s'),
        (59.6, '1 min'),
        (61, '1 min 1 s'),
        (3600, '1 h'),
        (7322, '2 h 2 min 2 s'),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_what_a_run_used(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/bin/wsss', 'run', 'a config', '--gpus', '2'])
    facts = facts_of_run(Config(dict(randomness=dict(seed=7))))
    assert facts['command'] == "wsss run 'a config' --gpus 2"
    assert facts['seed'] == 7
    assert facts['device']
    json.dumps(facts)


def test_a_commit_is_that_of_the_checkout(tmp_path):
    package = tmp_path / 'wsss_mm'
    package.mkdir()
    assert commit_of(package) is None

    def git(*more):
        config = ('-c', 'user.name=a', '-c', 'user.email=a@b.c')
        command = ['git', '-C', str(tmp_path), *config, *more]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git('init', '-q')
    (package / 'a.py').write_text('1')
    git('add', '-A')
    git('commit', '-qm', 'one')
    head = git('rev-parse', '--short=12', 'HEAD')
    assert commit_of(package) == head
    (package / 'a.py').write_text('2')
    assert commit_of(package) == f'{head}+'


def test_times_of_the_stages_are_added_up():
    facts = shown_facts({'seed': 0}, {'train_cam': 61.0, 'gen_pseudo': 5.0})
    assert facts == {
        'seed': 0,
        'time': '1 min 6 s (train_cam 1 min 1 s, gen_pseudo 5 s)',
    }
    assert shown_facts({}, {}) == {'time': '0 s'}


def test_the_last_logged_figure_counts(tmp_path):
    assert logged_figure(tmp_path, 'tag_mAP') is None
    for day, lines in {
        '20260101_000000': ['{"tag_mAP": 1.0}'],
        '20260102_000000': [
            '{"tag_mAP": 2.0}',
            '{"tag_mAP": 3.5}',
            '{"loss": 1}',
            '{"ta',
        ],
        '20260103_000000': ['{"loss": 1}'],
    }.items():
        file = tmp_path / day / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text('\n'.join(lines))
    assert logged_figure(tmp_path, 'tag_mAP') == 3.5
