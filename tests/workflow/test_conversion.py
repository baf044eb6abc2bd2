"""Weights in 16 bits: half the size, the same network to three digits."""

import hashlib

import pytest
import torch

from wsss_mm.cli.main import main
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.conversion import halve_file


def write(path, **tensors):
    meta = dict(dataset_meta=dict(classes=('a', 'b')), config='model = dict()')
    content = dict(state_dict=tensors, meta=meta, optimizer=dict(state={}))
    torch.save(content, path)
    return path


def test_values_are_halved_and_the_rest_is_left_out(tmp_path):
    weights = torch.linspace(-3, 3, 999)
    count = torch.tensor(7)
    source = write(tmp_path / 'net.pth', weight=weights, num_batches_tracked=count)
    said = halve_file(source, tmp_path / 'half.pth')
    content = torch.load(tmp_path / 'half.pth', weights_only=True)
    assert content.keys() == {'state_dict', 'meta'}
    assert content['meta'] == dict(dataset_meta=dict(classes=('a', 'b')))
    halved = content['state_dict']
    assert halved['weight'].dtype == torch.float16
    torch.testing.assert_close(halved['weight'].float(), weights, rtol=5e-4, atol=1e-6)
    assert halved['num_batches_tracked'] == count
    assert halved['num_batches_tracked'].dtype == torch.int64
    digest = hashlib.sha256((tmp_path / 'half.pth').read_bytes()).hexdigest()
    assert f'sha256: {digest}' in said


def test_too_large_a_value_is_refused_and_nothing_written(tmp_path):
    source = write(tmp_path / 'net.pth', weight=torch.tensor([1.0, 70000.0]))
    with pytest.raises(InputError, match='weight is too large for 16 bits'):
        halve_file(source, tmp_path / 'half.pth')
    assert not (tmp_path / 'half.pth').exists()


def test_the_command(tmp_path, capsys):
    source = write(tmp_path / 'net.pth', weight=torch.ones(4))
    main(['convert', '--half', str(source), str(tmp_path / 'half.pth')])
    said = capsys.readouterr().out
    assert 'sha256: ' in said
    assert str(tmp_path / 'half.pth') in said
