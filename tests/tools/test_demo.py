"""tools/demo.py: its methods, and what it makes of their figures."""

import importlib
import json
from pathlib import Path

import pytest

from wsss_mm.engine.pipeline import affinity_config, segmenter_config


@pytest.fixture
def stages(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'tools'))
    return importlib.import_module('demo_stages')


@pytest.fixture
def told(stages):
    return importlib.import_module('demo_report')


def test_every_method_has_all_its_configs(root, stages):
    assert {'cam', 'affinitynet', 'seam', 'seenet', 'puzzle_cam'} <= set(stages.METHODS)
    for method in stages.METHODS.values():
        config = root / method.config
        assert config.is_file()
        assert segmenter_config(config).is_file()
        if method.walks:
            assert affinity_config(config).is_file()


def test_chains(stages):
    seam, cam = stages.METHODS['seam'], stages.METHODS['cam']
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


def test_figures_of_one_method(stages, told, finished):
    names = [*COMMON, 'seam_cam', *(f'seam_{stage}' for stage in OWN)]
    folder = finished(names, curve=('cam_baseline', 'seam_cam'))
    results = told.collect(stages.Demo(folder, ('seam',), 0))
    found = results['stages']
    assert list(found) == [*COMMON[:2], 'seam_cam', *OWN, COMMON[2]]
    assert found['cam_baseline'] == dict(
        miou=60.0, threshold=0.3, miou_fixed=50.0, fixed_threshold=0.2
    )
    assert found['segmentation'] == dict(miou=57.0)
    rows = told.rows_of_one('seam', found)
    assert [row['mIoU [%]'] for row in rows] == [60, 51, 63, 54, 55, 56, 57, 52]
    assert {row['images'] for row in rows[-2:]} == {'val'}


def test_figures_of_several_methods(stages, told, finished):
    names = [*COMMON, 'seam_cam', *(f'seam_{stage}' for stage in OWN)]
    names += ['cam_pseudo_mask', 'cam_segmentation']
    folder = finished(names, curve=('cam_baseline', 'seam_cam'))
    results = told.collect(stages.Demo(Path(folder), ('cam', 'seam'), 0))
    assert 'stages' not in results
    cam, seam, truth = told.rows_of_all(results['methods'])
    assert (cam['method'], seam['method']) == ('CAM', 'SEAM')
    # Plain CAM is the baseline's network; it has no walk.
    assert cam['CAM'] == 60
    assert cam['random walk'] == '-'
    assert cam['% of true masks'] == pytest.approx(100 * 59 / 52)
    assert seam['pseudo masks'] == 56
    assert truth['DeepLabV2'] == 52
    assert set(cam) == set(seam) == set(truth)
