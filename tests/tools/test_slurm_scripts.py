"""The Slurm scripts hand everything to srun; a stand-in prints what it is given."""

import os
import shutil
import subprocess

import pytest

TRAIN = ('slurm_train.sh', ['part', 'job', 'config.py'], 'train.py config.py')
TEST = ('slurm_test.sh', ['part', 'job', 'c.py', 'w.pth'], 'test.py c.py w.pth')
MASKS = (
    'slurm_gen_pseudo.sh',
    ['part', 'job', 'c.py', 'w.pth'],
    'gen_pseudo.py c.py w.pth',
)
SCRIPTS = [TRAIN, TEST, MASKS]


@pytest.fixture
def run(root, tmp_path):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@"\n')
    srun.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if 'GPUS' not in key}
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'

    def call(script, *arguments, **more):
        return subprocess.run(
            [str(root / 'tools' / script), *arguments],
            env={**kept, 'PATH': path, 'PYTHON': 'py', **more},
            capture_output=True,
            text=True,
        )

    return call


@pytest.mark.parametrize('script, arguments, command', SCRIPTS)
@pytest.mark.parametrize('gpus, per_node', [('2', '2'), ('16', '8')])
def test_srun_gets_the_whole_command(
    run, root, script, arguments, command, gpus, per_node
):
    done = run(
        script, *arguments, '--cfg-options', 'a=b c', GPUS=gpus, SRUN_ARGS='-t 5 -x n'
    )
    assert done.returncode == 0, done.stderr
    path, *given = done.stdout.splitlines()
    assert os.path.samefile(path.split(os.pathsep)[0], root)
    assert given[given.index('-t') :][:4] == ['-t', '5', '-x', 'n']
    assert {'--partition=part', '--job-name=job', f'--gres=gpu:{per_node}'} < set(given)
    assert {f'--ntasks={gpus}', f'--ntasks-per-node={per_node}'} < set(given)
    start = given.index('py')
    tool, *rest = command.split()
    assert given[start + 1] == '-u'
    assert os.path.samefile(given[start + 2], root / 'tools' / tool)
    launcher, options = ['--launcher', 'slurm'], ['--cfg-options', 'a=b c']
    assert given[start + 3 :] == [*launcher, *rest, *options]


@pytest.mark.parametrize('script, arguments, command', SCRIPTS)
def test_missing_arguments_are_explained(run, script, arguments, command):
    done = run(script, *arguments[:-1])
    assert done.returncode == 2
    assert 'usage:' in done.stderr
    assert 'PARTITION JOB_NAME CONFIG' in done.stderr


@pytest.fixture
def tools_of_a_checkout(root, tmp_path):
    """A copy of the scripts, in a checkout that has no code and no environment."""
    folder = tmp_path / 'checkout' / 'tools'
    folder.mkdir(parents=True)
    for name in ('slurm_train.sh', 'launch.sh'):
        shutil.copy(root / 'tools' / name, folder)
    return folder


def add_python(path, *, has_wsss_mm):
    """A stand-in for Python: whether it can import what it is asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexit {0 if has_wsss_mm else 1}\n')
    path.chmod(0o755)
    return str(path)


def test_the_python_is_that_of_the_environment(run, tools_of_a_checkout, tmp_path):
    """PYTHON, else an active environment with wsss_mm, else that of `make env`."""
    script = str(tools_of_a_checkout / 'slurm_train.sh')

    def python_of(**more):
        done = run(script, 'part', 'job', 'config.py', **more)
        words = done.stdout.split()
        return words[words.index('-u') - 1] if done.returncode == 0 else done.stderr

    add_python(tmp_path / 'python', has_wsss_mm=False)
    assert "run 'make env'" in python_of(PYTHON='')
    own = add_python(tmp_path / 'checkout/.venv/bin/python', has_wsss_mm=True)
    assert os.path.samefile(python_of(PYTHON=''), own)
    add_python(tmp_path / 'python', has_wsss_mm=True)
    assert python_of(PYTHON='') == 'python'
    assert python_of(PYTHON='mine') == 'mine'
