import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch

# The verb has the name of its module.
train = importlib.import_module('wsss_mm.apis.train')


@pytest.mark.parametrize('gpu', [False, True])
def test_freed_memory_is_kept_on_a_cpu_before_training(
    root, tmp_path, monkeypatch, gpu
):
    spec = importlib.util.spec_from_file_location('train', root / 'tools/train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls = []
    runner = SimpleNamespace(train=lambda: calls.append('train'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    monkeypatch.setattr(train, 'keep_freed_memory', lambda: calls.append('keep'))
    monkeypatch.setattr(train, 'build_runner', lambda cfg: runner)
    config = root / 'configs/cam/cam_r18_synth.py'
    argv = ['train.py', str(config), '--work-dir', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', [*argv, '--cfg-options', 'load_from=None'])
    assert module.main() == 0
    assert calls == (['train'] if gpu else ['keep', 'train'])
