import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def benchmark(root):
    def run(*args):
        return subprocess.run(
            [sys.executable, root / 'tools/analysis_tools/benchmark.py', *args],
            env={**os.environ, 'PYTHONPATH': str(root)},
            capture_output=True,
            text=True,
        )

    return run


def test_pixel_correlation_reports_both_sides(benchmark, tmp_path):
    path = tmp_path / 'out' / 'pcm.json'
    size = ['--cells', '1500', '--channels', '4', '--dim', '16', '--rounds', '1']
    done = benchmark('pixel_correlation', '--json', str(path), *size)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    assert max(report['relative_error'].values()) < 1e-4
    matrix = report['matrix_mib']
    assert matrix == pytest.approx(4 * 1500**2 / 2**20)
    # The instrument sees the matrix on the side that has it.
    assert report['peak_mib']['dense']['forward'] > 0.9 * matrix
    assert report['peak_mib']['dense']['forward_backward'] > 1.9 * matrix
    for side in ('dense', 'panels'):
        both = report['seconds'][side]
        assert 0 < both['forward']['median'] < both['forward_backward']['median']
    assert report['torch']
    assert report['seed'] == 0
    assert os.listdir(path.parent) == ['pcm.json']


def test_wrong_input_ends_with_a_message(benchmark, tmp_path):
    path = tmp_path / 'pcm.json'
    done = benchmark('pixel_correlation', '--json', str(path), '--cells', '0')
    assert done.returncode == 2
    assert done.stderr.strip() == 'error: --cells must be positive, got 0'
    assert list(tmp_path.iterdir()) == []
