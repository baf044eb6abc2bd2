import builtins
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch import nn

from wsss_mm.registry import MODELS
from wsss_mm.workflow.weights import (
    fingerprint,
    latest_weights,
    load_weights,
    read_state_dict,
)


def save(path, step, *, value):
    weights = dict(a=torch.full((3,), float(value)))
    torch.save(dict(state_dict=weights, meta=dict(iter=step)), path)


class Bomb:
    """Unpickling it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Reach:
    """Unpickling it asks for attributes until it holds the builtins."""

    def __reduce__(self):
        inner = Bomb(getattr, getattr, '__self__')
        items = iter([('left_by_a_checkpoint', 1)])
        return getattr, (inner, '__dict__'), None, None, items


class TestCheckpoints:
    def test_weights_in_either_form(self, tmp_path):
        weights = dict(a=torch.ones(2), b=torch.zeros(1))
        torch.save(weights, tmp_path / 'plain.pth')
        torch.save(dict(state_dict=weights, meta=dict(x=1)), tmp_path / 'nested.pth')
        for name in ('plain', 'nested'):
            found = read_state_dict(tmp_path / f'{name}.pth')
            assert list(found) == ['a', 'b']
            assert torch.equal(found['a'], weights['a'])

    def test_what_mmengine_writes(self, cam_config):
        """Its checkpoints hold the log too, whose types torch does not trust."""
        cam_config.val_dataloader = cam_config.val_cfg = None
        cam_config.val_evaluator = None
        runner = Runner.from_cfg(cam_config)
        runner.train()
        weights = runner.model.state_dict()
        work = Path(cam_config.work_dir)
        # Older torch cannot be told to trust the log: the published file has none.
        trusting = hasattr(torch.serialization, 'safe_globals')
        for path in (work, work / 'iter_2.pth')[: 1 + trusting]:
            other = MODELS.build(cam_config.model)
            load_weights(other, path)
            found = other.state_dict()
            assert all(torch.equal(v, weights[k]) for k, v in found.items())
        assert latest_weights(work).name.startswith('iter_2')

    @pytest.mark.parametrize('nested', [False, True])
    def test_code_in_a_checkpoint_is_not_run(self, tmp_path, nested):
        trap = Bomb(Path.touch, tmp_path / 'executed')
        content = dict(state_dict=dict(a=torch.ones(1)), meta=trap) if nested else trap
        torch.save(content, tmp_path / 'evil.pth')
        with (tmp_path / 'evil.pkl').open('wb') as file:
            pickle.dump(trap, file)
        for name in ('evil.pth', 'evil.pkl'):
            with pytest.raises(ValueError, match=rf'{name}: not a checkpoint that can'):
                read_state_dict(tmp_path / name)
        assert not (tmp_path / 'executed').exists()

    def test_a_checkpoint_reaches_nothing_of_the_process(self, tmp_path):
        content = dict(state_dict=dict(a=torch.ones(1)), meta=Reach())
        torch.save(content, tmp_path / 'evil.pth')
        try:
            with pytest.raises(ValueError, match=r'evil\.pth: not a checkpoint'):
                read_state_dict(tmp_path / 'evil.pth')
            assert not hasattr(builtins, 'left_by_a_checkpoint')
        finally:
            vars(builtins).pop('left_by_a_checkpoint', None)

    @pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04' * 9])
    def test_damaged_files(self, tmp_path, content):
        (tmp_path / 'bad.pth').write_bytes(content)
        with pytest.raises(ValueError, match=r'bad\.pth: not a checkpoint that can be'):
            read_state_dict(tmp_path / 'bad.pth')

    def test_truncated_files(self, tmp_path):
        torch.save(dict(a=torch.ones(1000)), tmp_path / 'whole.pth')
        whole = (tmp_path / 'whole.pth').read_bytes()
        (tmp_path / 'half.pth').write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=r'half\.pth: not a checkpoint'):
            read_state_dict(tmp_path / 'half.pth')

    @pytest.mark.parametrize('content', [{}, {'state_dict': {}}, {'a': 1}, [1], 3])
    def test_files_without_weights(self, tmp_path, content):
        torch.save(content, tmp_path / 'odd.pth')
        with pytest.raises(ValueError, match=r'odd\.pth: holds no state dict'):
            read_state_dict(tmp_path / 'odd.pth')

    def test_missing_files(self, tmp_path):
        with pytest.raises(ValueError, match=r'no\.pth: no such checkpoint'):
            read_state_dict(tmp_path / 'no.pth')
        with pytest.raises(ValueError, match=r'no checkpoint; train into this folder'):
            read_state_dict(tmp_path)

    def test_a_published_checkpoint_is_preferred(self, tmp_path):
        for step in (4, 8):
            save(tmp_path / f'iter_{step}.pth', step, value=step)
        digest = fingerprint(tmp_path / 'iter_8.pth')[:8]
        save(tmp_path / f'iter_8-{digest}.pth', 8, value=8)
        assert latest_weights(tmp_path).name == f'iter_8-{digest}.pth'
        (tmp_path / f'iter_8-{digest}.pth').unlink()
        assert latest_weights(tmp_path).name == 'iter_8.pth'

    def test_a_damaged_published_checkpoint_is_not_taken(self, tmp_path):
        save(tmp_path / 'iter_8.pth', 8, value=8)
        digest = fingerprint(tmp_path / 'iter_8.pth')[:8]
        whole = (tmp_path / 'iter_8.pth').read_bytes()
        (tmp_path / f'iter_8-{digest}.pth').write_bytes(whole[:-50])
        assert latest_weights(tmp_path).name == 'iter_8.pth'

    def test_published_weights_alone(self, tmp_path):
        save(tmp_path / 'iter_4-0123abcd.pth', 4, value=1)
        save(tmp_path / 'iter_8-0123abcd.pth', 8, value=2)
        assert latest_weights(tmp_path).name == 'iter_8-0123abcd.pth'
        save(tmp_path / 'iter_8-ffffffff.pth', 8, value=3)
        with pytest.raises(ValueError, match='several trainings'):
            latest_weights(tmp_path)

    def test_a_folder_of_damaged_checkpoints_names_them(self, tmp_path):
        (tmp_path / 'iter_8.pth').write_bytes(b'half')
        with pytest.raises(ValueError, match=r'no whole checkpoint \(iter_8\.pth: dam'):
            latest_weights(tmp_path)


class TestFit:
    def save(self, tmp_path, **layers):
        path = tmp_path / 'other.pth'
        torch.save(nn.ModuleDict(layers).state_dict(), path)
        return path

    @pytest.fixture
    def model(self):
        return nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4)))

    @pytest.mark.parametrize(
        ('layers', 'text'),
        [
            (dict(a=nn.Linear(2, 3)), r'2 of 4 .*\n  b\.bias: missing\n  b\.weight'),
            (
                dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4), c=nn.Linear(1, 1)),
                r'c\.bias: unexpected',
            ),
            (
                dict(a=nn.Linear(2, 3), b=nn.Linear(3, 9)),
                r'b\.weight: \(9, 3\) instead of \(4, 3\)',
            ),
        ],
    )
    def test_another_network_is_refused(self, tmp_path, model, layers, text):
        before = {k: v.clone() for k, v in model.state_dict().items()}
        path = self.save(tmp_path, **layers)
        with pytest.raises(ValueError, match=rf'(?s)other\.pth: does not fit.*{text}'):
            load_weights(model, path)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())

    def test_inside_of_wrappers(self, tmp_path, model):
        model.test_step = None  # CAMTTAModel asks for one
        weights = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4)))
        path = self.save(tmp_path, **weights)
        tta = MODELS.build(dict(type='mmseg.CAMTTAModel', module=model))
        load_weights(tta, path)
        assert torch.equal(model['a'].weight, weights['a'].weight)
