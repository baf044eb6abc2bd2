"""Chains name their steps, which are looked up when the chain is built."""

import pytest
from mmengine.config import Config

import wsss_mm.refinement  # noqa: F401
from wsss_mm.apis.refine import chain_steps, needs_affinity
from wsss_mm.refinement import (
    DenseCRFRefiner,
    EdgeWalkRefiner,
    PowerBackground,
    RandomWalkRefiner,
    ThresholdBackground,
    build_chain,
    resolve_steps,
)
from wsss_mm.utils.errors import InputError

STEPS = dict(
    background=dict(type='PowerBackground', alpha=6),
    walk=dict(type='RandomWalkRefiner', beta=8, steps=64),
    crf=dict(type='DenseCRFRefiner', parameters='soft1'),
)


@pytest.fixture
def cfg(root):
    return Config.fromfile(root / 'configs/seam/seam_r38_voc.py')


def built(cfg, chain):
    return build_chain({chain: chain_steps(cfg, chain)}, chain)


def test_what_the_options_change_is_what_runs(cfg):
    before = built(cfg, 'rw_crf')
    assert before == (
        PowerBackground(alpha=6),
        RandomWalkRefiner(beta=8, steps=64),
        DenseCRFRefiner(parameters='soft1'),
    )
    cfg.merge_from_dict(
        {'walk.beta': 16, 'crf.parameters': 'label1', 'background.alpha': 2}
    )
    assert built(cfg, 'rw_crf') == (
        PowerBackground(alpha=2),
        RandomWalkRefiner(beta=16, steps=64),
        DenseCRFRefiner(parameters='label1'),
    )
    assert built(cfg, 'crf')[-1] == DenseCRFRefiner(parameters='label1')
    # Another kind of step, too.
    cfg.merge_from_dict({'walk.type': 'EdgeWalkRefiner'})
    assert built(cfg, 'rw')[-1] == EdgeWalkRefiner(beta=16, steps=64)
    assert needs_affinity(cfg, 'rw')


def test_a_child_config_changes_a_step(root):
    cfg = Config.fromfile(root / 'configs/cam/cam_r50_voc.py')
    assert built(cfg, 'rw') == (
        ThresholdBackground(threshold=0.15),
        EdgeWalkRefiner(beta=10, steps=256),
        ThresholdBackground(threshold=0.25),
    )


def test_steps_may_be_written_out_as_in_older_configs(cfg):
    cfg.refine = dict(rw=[dict(cfg.walk, beta=3), 'crf'])
    assert built(cfg, 'rw')[1:] == (
        RandomWalkRefiner(beta=3, steps=64),
        DenseCRFRefiner(parameters='soft1'),
    )


def test_building_leaves_the_config_alone(cfg):
    before = cfg.to_dict()
    for step in chain_steps(cfg, 'rw_crf'):
        step.clear()
    built(cfg, 'rw_crf')
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        (['wlak'], r"names the step 'wlak', .* did you mean walk\?"),
        (['zzz'], r"'zzz', .* zzz = dict\(type=\.\.\.\); no other step"),
        # It is in the config, but is not a step.
        (['seed'], "'seed', which the config does not define"),
        ('walk', "a list of steps, got 'walk'"),
    ],
)
def test_a_step_that_is_not_defined_is_refused(steps, message):
    with pytest.raises(InputError, match=message):
        resolve_steps(steps, dict(STEPS, seed=3))


def test_a_background_without_a_type_is_refused(cfg):
    cfg.background = dict(alpha=3)
    with pytest.raises(InputError, match=r"'background', .* dict\(type"):
        chain_steps(cfg, 'crf')
