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


def test_random_walk_reports_both_sides(benchmark, tmp_path):
    path = tmp_path / 'walk.json'
    size = ['--height', '20', '--width', '24', '--channels', '4', '--rounds', '1']
    done = benchmark('random_walk', '--json', str(path), *size)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    assert report['cells'] == 480
    assert report['relative_error'] < 1e-5
    assert report['matrix_mib'] == pytest.approx(4 * 480**2 / 2**20)
    clock = {side: report['seconds'][side]['wall'] for side in ('walk', 'squaring')}
    ratio = clock['squaring']['median'] / clock['walk']['median']
    assert report['squaring_over_walk']['wall'] == pytest.approx(ratio)


def test_training_step_reports_both_sides(benchmark, root, tmp_path):
    path = tmp_path / 'step.json'
    config = root / 'configs/cam/cam_r18_synth.py'
    size = ['--batch', '2', '--size', '64', '--steps', '1', '--rounds', '1']
    done = benchmark('training_step', '--json', path, '--config', config, *size)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    assert report['largest_difference_of_loss'] == 0
    for side in ('given_back', 'kept'):
        found = {k: v['median'] for k, v in report['a_step'][side].items()}
        assert 0 <= found['cpu_of_system'] < found['cpu']
        assert found['peak_mib'] > 100
        assert found['loss'] > 0


def test_weclip_reports_both_sides(benchmark, root, tmp_path):
    config = root / 'configs/weclip/weclip_vitb16_voc.py'
    thin = tmp_path / 'thin.py'
    thin.write_text(
        f"_base_ = ['{config}']\n"
        'width = dict(embed_dims=32, num_heads=2)\n'
        'model = dict(\n'
        '    backbone=dict(num_layers=8, img_size=64, **width),\n'
        '    decode_head=dict(in_channels=[32] * 8, channels=16, num_heads=2),\n'
        '    pseudo_masks=dict(\n'
        '        text=dict(encoder=dict(embed_dims=16, num_layers=1, num_heads=2,\n'
        '                               output_dims=8)),\n'
        '        last_block=dict(output_dims=8, **width),\n'
        '    ),\n'
        ')\n'
    )
    path = tmp_path / 'weclip.json'
    size = ['--batch', '2', '--size', '64', '--steps', '1', '--rounds', '1']
    done = benchmark('weclip', '--json', path, '--config', thin, *size)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    # The published procedure makes the same masks.
    assert report['largest_difference_of_loss'] < 1e-3
    assert report['a_step']['ours']['wall']['median'] > 0


def test_dense_crf_reports_lattices_and_pool(benchmark, tmp_path):
    pytest.importorskip('pydensecrf', reason='pip install -r requirements/crf.txt')
    path = tmp_path / 'crf.json'
    size = ['--height', '24', '--width', '32', '--rounds', '1', '--images', '1']
    done = benchmark('dense_crf', '--json', str(path), *size)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    assert report['two_alphas']['same_bits']['shared']
    assert report['two_alphas']['largest_difference']['joint'] < 1e-3
    assert report['pool']['seconds_pool'] > 0
