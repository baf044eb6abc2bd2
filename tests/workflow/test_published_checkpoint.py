"""A finished training leaves weights that any torch reads without executing code."""

import os

import torch
from mmengine.runner import Runner

from wsss_mm.workflow.weights import fingerprint, latest_weights, read_state_dict

PLAIN = (str, int, float, bool, type(None))


def leaves(value):
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in leaves(part)]
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def test_a_training_publishes_its_weights(cam_config):
    cam_config.val_dataloader = cam_config.val_cfg = None
    cam_config.val_evaluator = None
    runner = Runner.from_cfg(cam_config)
    runner.train()
    path = latest_weights(cam_config.work_dir)
    assert path.name.startswith('iter_2-')
    # Without the log types that are allowed for MMEngine's own checkpoints.
    published = torch.load(path, weights_only=True)
    assert published.keys() == {'meta', 'state_dict'}
    assert all(isinstance(leaf, PLAIN) for leaf in leaves(published['meta']))
    assert published['meta']['iter'] == 2
    weights = read_state_dict(cam_config.work_dir)
    for name, weight in runner.model.state_dict().items():
        assert torch.equal(weights[name], weight)


def test_what_an_earlier_training_published_is_not_taken(tmp_path):
    """Whatever the times of the files: a copy has them in any order."""
    names = {}
    for value in (1.0, 2.0):
        weights = dict(state_dict=dict(a=torch.tensor([value])))
        torch.save(weights, tmp_path / 'iter_8.pth')
        digest = fingerprint(tmp_path / 'iter_8.pth')[:8]
        names[value] = f'iter_8-{digest}.pth'
        torch.save(weights, tmp_path / names[value])
    for number, name in enumerate([names[2.0], names[1.0], 'iter_8.pth']):
        os.utime(tmp_path / name, ns=(number, number))
    assert latest_weights(tmp_path).name == names[2.0]
    (tmp_path / names[2.0]).unlink()
    assert latest_weights(tmp_path).name == 'iter_8.pth'
