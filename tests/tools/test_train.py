import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch


@pytest.mark.parametrize('gpu', [False, True])
def test_freed_memory_is_kept_on_a_cpu_before_training(root, monkeypatch, gpu):
    spec = importlib.util.spec_from_file_location('train', root / 'tools/train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls = []
    runner = SimpleNamespace(train=lambda: calls.append('train'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    monkeypatch.setattr(module, 'keep_freed_memory', lambda: calls.append('keep'))
    monkeypatch.setattr(module.Runner, 'from_cfg', lambda cfg: runner)
    config = root / 'configs/cam/cam_r18_synth.py'
    argv = ['train.py', str(config), '--cfg-options', 'load_from=None']
    monkeypatch.setattr(sys, 'argv', argv)
    module.main()
    assert calls == (['train'] if gpu else ['keep', 'train'])
