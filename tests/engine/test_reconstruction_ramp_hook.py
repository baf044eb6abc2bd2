from typing import ClassVar

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.registry import HOOKS


@pytest.fixture
def puzzle_config(cam_config):
    """The tiny baseline, cut into pieces, with one step more."""
    cam_config.model.data_preprocessor = dict(
        type='PuzzleViews', preprocessor=cam_config.model.data_preprocessor
    )
    cam_config.model.decode_head = dict(
        type='PuzzleCAMHead', in_channels=32, num_classes=9
    )
    cam_config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=9)
    cam_config.custom_hooks = [
        dict(type='ReconstructionRampHook', maximum=3.0, ramp=0.5)
    ]
    return cam_config


@HOOKS.register_module(force=True)
class NoteWeights(Hook):
    """Note what the step used."""

    weights: ClassVar[list] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.weights.append(runner.model.decode_head.reconstruction_weight)


def test_a_stock_loop_trains_with_a_growing_weight(puzzle_config):
    NoteWeights.weights = []
    puzzle_config.custom_hooks.append(dict(type='NoteWeights'))
    Runner.from_cfg(puzzle_config).train()
    assert NoteWeights.weights == [0.0, 1.5, 3.0, 3.0]


def test_a_head_without_the_weight(cam_config):
    cam_config.custom_hooks = [dict(type='ReconstructionRampHook')]
    with pytest.raises(ValueError, match='has a CAMHead; remove the hook'):
        Runner.from_cfg(cam_config).train()


def test_an_impossible_ramp():
    with pytest.raises(ValueError, match='ramp must be in'):
        HOOKS.build(dict(type='mmseg.ReconstructionRampHook', ramp=2))
