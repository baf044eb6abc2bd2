import importlib.util

import pytest
import torch

from wsss_mm.io.checkpoint_keys import layout_shapes


@pytest.fixture(scope='module')
def tool(root):
    spec = importlib.util.spec_from_file_location(
        'resnet38_to_mm', root / 'tools' / 'model_converters' / 'resnet38_to_mm.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save_released(path, layout, **changes):
    """A released file's names and shapes; one stored number keeps it small."""
    state = {
        key: torch.full((), float(i)).expand([21 if n is None else n for n in shape])
        for i, (key, shape) in enumerate(layout_shapes(layout).items())
    }
    torch.save({**state, **changes}, path)
    return state


@pytest.mark.parametrize('options', [[], ['--layout', 'resnet38_seam']])
def test_it_renames_every_tensor(tool, tmp_path, capsys, options):
    source, target = tmp_path / 'seam.pth', tmp_path / 'new' / 'ours.pth'
    released = save_released(source, 'resnet38_seam')
    tool.main([str(source), str(target), *options])
    ours = torch.load(target, weights_only=True)['state_dict']
    assert len(ours) == len(released) == 232
    assert torch.equal(ours['neck.f9.weight'], released['f9.weight'])
    assert torch.equal(ours['backbone.bn7.bias'], released['bn7.bias'])
    assert '232 tensors' in capsys.readouterr().out


def test_a_bad_file_ends_with_a_message_and_writes_nothing(tool, tmp_path, capsys):
    source, target = tmp_path / 'seam.pth', tmp_path / 'ours.pth'
    save_released(source, 'resnet38_seam', extra=torch.zeros(1))
    with pytest.raises(SystemExit) as error:
        tool.main([str(source), str(target)])
    assert error.value.code == 2
    assert 'seam.pth: the tensor names fit no known layout' in capsys.readouterr().err
    assert not target.exists()
