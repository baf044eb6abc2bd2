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


@pytest.fixture(scope='session')
def reference_clip():
    """The module beside this file: CLIP's weights by rule C."""
    path = Path(__file__).with_name('reference_clip.py')
    spec = importlib.util.spec_from_file_location('reference_clip', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def clip_file(reference_clip, tmp_path_factory):
    """CLIP's weights by rule C under our names, as ``wsss convert`` writes them."""
    import torch

    path = tmp_path_factory.mktemp('clip') / 'clip_vit_b16.pth'
    state = reference_clip.our_state(reference_clip.openai_state())
    torch.save({'state_dict': state, 'meta': {}}, path)
    del state
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope='session')
def clip_part(clip_file):
    """Load the part of CLIP's weights behind a prefix into a module."""
    import torch

    def load(module, prefix):
        state = torch.load(str(clip_file), weights_only=True, mmap=True)['state_dict']
        part = {k.removeprefix(prefix): state[k] for k in state if k.startswith(prefix)}
        own = module.state_dict()
        module.load_state_dict({name: part[name] for name in own})
        return module.eval()

    return load


@pytest.fixture(scope='session')
def converted(root, tmp_path_factory):
    """Write a file, convert it by the tool and give our tensors."""
    import torch

    path = root / 'tools' / 'model_converters' / 'convert.py'
    spec = importlib.util.spec_from_file_location('convert', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = tmp_path_factory.mktemp('converted')

    def convert(write):
        source, target = folder / 'released', folder / 'ours.pth'
        try:
            write(source)
            tool.main([str(source), str(target)])
            return torch.load(target, weights_only=True)['state_dict']
        finally:
            # The networks are large, and pytest keeps its folders.
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    return convert


@pytest.fixture(scope='session')
def build_config(root):
    """Build a config's network, with some settings of its head changed."""
    from mmengine.config import Config

    import wsss_mm.models  # noqa: F401
    from wsss_mm.registry import MODELS

    def build(name, **head):
        config = Config.fromfile(root / 'configs' / name)
        config.model.decode_head.update(head)
        return MODELS.build(config.model)

    return build


@pytest.fixture(scope='session')
def network(build_config, reference_weights, converted):
    """Build the network of a vector ``net_*`` with weights from a converted file."""
    import torch

    def build(stem):
        config, layout = reference_weights.NETWORKS[stem]
        model = build_config(config)
        released = reference_weights.released_state(layout)
        model.load_state_dict(converted(lambda path: torch.save(released, path)))
        return model.eval()

    return build


@pytest.fixture
def assert_maps():
    """Compare maps to the tolerance that the golden vectors promise."""
    import torch

    def check(actual, expected):
        expected = torch.as_tensor(expected)
        atol = 1e-5 * expected.abs().max().item()
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=atol)

    return check
