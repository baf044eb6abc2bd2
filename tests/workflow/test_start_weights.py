"""Weights that a config names by a relative path are found from any folder."""

import torch

from wsss_mm.workflow.launch import load_config

CONFIG = """
_base_ = ['{base}']
load_from = 'weights/whole.pth'
model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/backbone.pth')))
"""


def test_weights_beside_a_config_are_found(root, tmp_path, monkeypatch):
    project = tmp_path / 'project'
    (project / 'weights').mkdir(parents=True)
    (project / 'configs').mkdir()
    base = root / 'configs/cam/cam_mbv2_voc_mini.py'
    path = project / 'configs/net.py'
    path.write_text(CONFIG.format(base=base))
    monkeypatch.chdir(tmp_path)
    before = load_config(str(path))
    assert before.load_from == 'weights/whole.pth'
    for name in ('whole', 'backbone'):
        torch.save({}, project / f'weights/{name}.pth')
    cfg = load_config(str(path))
    found = cfg.model.backbone.init_cfg.checkpoint
    assert found == str(project / 'weights/backbone.pth')
    assert cfg.load_from == str(project / 'weights/whole.pth')
    # In the folder that they are relative to nothing changes.
    monkeypatch.chdir(project)
    assert load_config(str(path)).load_from == 'weights/whole.pth'
    options = {'load_from': 'https://example.org/a.pth'}
    assert load_config(str(path), options).load_from == options['load_from']
