"""The demo: its methods, and what it makes of their figures."""

import json
from pathlib import Path

import pytest

from wsss_mm.workflow import demo, demo_report, demo_stages
from wsss_mm.workflow.method import affinity_config, segmenter_config


def test_every_method_has_all_its_configs(root):
    assert {'cam', 'affinitynet', 'seam', 'seenet', 'puzzle_cam'} <= set(
        demo_stages.METHODS
    )
    for method in demo_stages.METHODS.values():
        config = root / method.config
        assert config.is_file()
        assert segmenter_config(config).is_file()
        if method.walks:
            assert affinity_config(config).is_file()


def test_chains():
    seam, cam = demo_stages.METHODS['seam'], demo_stages.METHODS['cam']
    assert list(seam.chains(crf=True).values()) == ['crf', 'random_walk', 'pseudo_mask']
    assert cam.chains(crf=True) == {'crf': 'pseudo_mask'}
    for method in (seam, cam):
        assert method.chains(crf=False) == {'pamr': 'pseudo_mask'}


@pytest.fixture
def finished(tmp_path):
    """Write the figures of a finished run: each stage its own number."""

    def write(names, curve=()):
        for i, name in enumerate(names):
            found = dict(mIoU=50.0 + i)
            if name in curve:
                found |= dict(mIoU_best=60.0 + i, best_threshold=0.3, threshold=0.2)
            (tmp_path / f'{name}.json').write_text(json.dumps(found))
        return tmp_path

    return write


COMMON = ('cam_baseline', 'cam_baseline_crf', 'fully_supervised')
OWN = ('crf', 'random_walk', 'pseudo_mask', 'segmentation')


def test_figures_of_one_method(finished):
    names = [*COMMON, 'seam_cam', *(f'seam_{stage}' for stage in OWN)]
    folder = finished(names, curve=('cam_baseline', 'seam_cam'))
    results = demo_report.collect(demo_stages.Demo(folder, ('seam',), 0))
    found = results['stages']
    assert list(found) == [*COMMON[:2], 'seam_cam', *OWN, COMMON[2]]
    assert found['cam_baseline'] == dict(
        miou=60.0, threshold=0.3, miou_fixed=50.0, fixed_threshold=0.2
    )
    assert found['segmentation'] == dict(miou=57.0)
    rows = demo_report.rows_of_one('seam', found)
    assert [row['mIoU [%]'] for row in rows] == [60, 51, 63, 54, 55, 56, 57, 52]
    assert {row['images'] for row in rows[-2:]} == {'val'}


def test_figures_of_several_methods(finished):
    names = [*COMMON, 'seam_cam', *(f'seam_{stage}' for stage in OWN)]
    names += ['cam_pseudo_mask', 'cam_segmentation']
    folder = finished(names, curve=('cam_baseline', 'seam_cam'))
    results = demo_report.collect(demo_stages.Demo(Path(folder), ('cam', 'seam'), 0))
    assert 'stages' not in results
    cam, seam, truth = demo_report.rows_of_all(results['methods'])
    assert (cam['method'], seam['method']) == ('CAM', 'SEAM')
    # Plain CAM is the baseline's network; it has no walk.
    assert cam['CAM'] == 60
    assert cam['random walk'] == '-'
    assert cam['% of true masks'] == pytest.approx(100 * 59 / 52)
    assert seam['pseudo masks'] == 56
    assert truth['DeepLabV2'] == 52
    assert set(cam) == set(seam) == set(truth)


@pytest.fixture
def lanes(root, tmp_path, monkeypatch):
    """Run the lanes with a function in the place of the stages' commands."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(demo, 'crf_is_installed', lambda: True)
    monkeypatch.setattr(demo.Demo, 'pretrained', 'tags.pth')

    def run_lanes(methods, stage):
        monkeypatch.setattr(demo.Demo, 'run', lambda self, one: stage(one.name))
        demo.run_lanes(demo.Demo(tmp_path, methods, 0))

    return run_lanes


@pytest.mark.parametrize('methods', [('seam',), ('cam', 'affinitynet', 'seam')])
def test_every_figure_has_its_stage_and_each_comes_after_what_it_reads(lanes, methods):
    done = []
    lanes(methods, done.append)
    for method in methods:
        settings, network = demo_stages.METHODS[method], demo_stages.network_of(method)
        names = [f'{method}_{one}' for one in settings.chains(crf=True).values()]
        assert {f'eval_{name}' for name in (network, *names)} <= set(done)
        chain = 'rw_crf' if settings.walks else 'crf'
        masks = f'gen_pseudo_{network}_trainaug_refine_{chain}'
        order = [f'train_{network}', f'gen_pseudo_{network}_trainaug']
        if settings.walks:
            seeds = f'gen_pseudo_{network}_trainaug_seed-scores'
            order += [seeds, f'train_{method}_affinity']
        order += [masks, f'train_{method}_segmentation', f'test_{method}_segmentation']
        at = [done.index(name) for name in order]
        assert at == sorted(at)
        assert done.index(masks) < done.index(f'eval_{method}_pseudo_mask')
        assert f'gen_pseudo_{network}_samples_refine_{chain}' in done
    assert {'test_fully_supervised', 'eval_cam_baseline_crf'} <= set(done)


def test_a_failure_beside_the_training_ends_the_demo(lanes):
    def stage(name):
        if name == 'eval_seam_random_walk':
            raise ValueError('it broke')

    with pytest.raises(ValueError, match='it broke'):
        lanes(('seam',), stage)
