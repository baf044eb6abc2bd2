"""Files of every kind, damaged: read, or refused in one line that names the file.

`WSSS_FUZZ=20000` tries as many of each kind; `WSSS_FUZZ_SEED` tries others.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name('fuzz.py')
COUNT = int(os.environ.get('WSSS_FUZZ', '200'))
SEED = os.environ.get('WSSS_FUZZ_SEED', '0')
# Beside the libraries.
MOST_MEGABYTES = 500


def load_script():
    spec = importlib.util.spec_from_file_location('fuzz', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def results(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp('fuzz')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', SCRIPT, str(COUNT), SEED, folder],
        env={**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{')]
    return {result['kind']: result for result in map(json.loads, lines)}


@pytest.mark.parametrize('kind', load_script().KINDS)
def test_damaged_files(kind, results):
    result = results[kind]
    sys.stdout.write(f'{result}\n')
    assert result['failures'] == []
    assert result['megabytes'] < MOST_MEGABYTES
    assert result['slowest'] < 5
    # Else nothing was damaged, or nothing was read.
    assert result['refused'] > COUNT / 50
    assert result['read'] > COUNT / 100
