import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope='session', autouse=True)
def mmseg_scope():
    """Registries look where a training run would."""
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')


@pytest.fixture(scope='session')
def reference_weights():
    """The module beside this file: golden weights by rule."""
    path = Path(__file__).with_name('reference_weights.py')
    spec = importlib.util.spec_from_file_location('reference_weights', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def assert_maps():
    """Compare maps to the tolerance that the golden vectors promise."""
    import torch

    def check(actual, expected):
        expected = torch.as_tensor(expected)
        atol = 1e-5 * expected.abs().max().item()
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=atol)

    return check
