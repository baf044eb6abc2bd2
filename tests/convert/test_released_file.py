import random
import struct

import pytest
import torch

from wsss_mm.convert.checkpoint_keys import layout_shapes
from wsss_mm.convert.checkpoint_layouts import DUPLICATES
from wsss_mm.convert.released_file import (
    REFERENCE_LAYOUTS,
    convert_released,
    read_tensors,
    report,
    to_released,
)


def placeholders(layout, *, counters=False):
    """A checkpoint's names and shapes; one stored number keeps its file small."""
    state = {
        key: torch.full((), float(i)).expand([20 if n is None else n for n in s])
        for i, (key, s) in enumerate(layout_shapes(layout).items())
    }
    return {k: v for k, v in state.items() if counters or not k.endswith('_tracked')}


@pytest.fixture
def saved(tmp_path):
    """Save what it is given."""

    def save(contents, name='net.pth', **options):
        torch.save(contents, tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.fixture(scope='module')
def small():
    return placeholders('vgg16_psa_cls')


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('nested', [True, False])
def test_files_of_torch_are_read(saved, small, zipped, nested):
    contents = {f'module.{key}': value for key, value in small.items()}
    if nested:
        contents = {'meta': {'epoch': 3}, 'state_dict': contents}
    path = saved(contents, _use_new_zipfile_serialization=zipped)
    conversion = convert_released(path)
    assert conversion.layout == 'vgg16_psa_cls'
    assert len(conversion.state) == 31
    fc8 = conversion.state['decode_head.classifier.weight']
    assert torch.equal(fc8, small['fc8.weight'])
    assert not conversion.copies
    assert not conversion.dropped
    assert list(convert_released(path, 'vgg16_psa_cls').state) == list(conversion.state)


def test_missing_counters_are_set_to_zero(saved):
    state = placeholders('torchvision_resnet18')
    conversion = convert_released(saved(state))
    assert len(conversion.counters) == 20
    assert conversion.state['backbone.bn1.num_batches_tracked'] == 0
    assert 'missing: 20 counters (num_batches_tracked), set to 0' in report(conversion)
    complete = placeholders('torchvision_resnet18', counters=True)
    conversion = convert_released(saved(complete))
    assert not conversion.counters
    assert conversion.state.keys() == {f'backbone.{key}' for key in complete}


@pytest.mark.parametrize(
    ('layout', 'extra', 'text'),
    [
        ('torchvision_resnet18', {'fc.weight': 3, 'fc.bias': 1}, '2 tensors (classi'),
        ('torchvision_mobilenet_v2', {'features.18.0.weight': 4}, 'convolution in fr'),
        ('torchvision_mobilenet_v2', {'classifier.1.bias': 1}, 'note: trained on RGB'),
        ('mmpretrain_resnet18', {'head.fc.weight': 2}, '(classifier of ImageNet): h'),
        ('mmpretrain_mobilenet_v2', {'backbone.conv2.bn.bias': 1}, ': backbone.conv2'),
        ('released_resnest50', {'fc.bias': 1}, '1 tensors (classifier of ImageNet)'),
        ('mmpretrain_vgg16', {'head.fc.bias': 1}, 'note: trained on RGB images'),
    ],
)
def test_classifiers_are_dropped_and_reported(saved, layout, extra, text):
    state = placeholders(layout, counters=True)
    more = {key: torch.ones((2,) * ndim) for key, ndim in extra.items()}
    conversion = convert_released(saved({**state, **more}))
    assert conversion.layout == layout
    assert conversion.dropped.keys() == extra.keys()
    assert len(conversion.state) == len(state)
    assert text in report(conversion)


def test_second_copies_are_dropped_and_reported(saved):
    state = placeholders('irn_resnet50', counters=True)
    whole = to_released(
        convert_released(saved(state), 'irn_resnet50').state, 'irn_resnet50'
    )
    conversion = convert_released(saved(whole))
    assert len(conversion.copies) == len(whole) - len(state) == 2 * 318 + 1
    assert len(conversion.state) == len(state)
    assert '637 tensors that are there twice' in report(conversion)
    whole['stage2.0.0.bn1.bias'] = torch.ones(128)
    with pytest.raises(ValueError, match=r'net\.pth: stage2\.0\.0\.bn1\.bias and'):
        convert_released(saved(whole))


def first(tensor):
    return tensor[(0,) * tensor.ndim].item()


@pytest.mark.parametrize(
    'layout', ['resnet38_seam', 'seam_deeplabv1', 'vgg16_psa_aff', 'puzzle_resnest50']
)
def test_there_and_back_again(saved, layout):
    state = placeholders(layout, counters=True)
    back = to_released(convert_released(saved(state)).state, layout)
    for key, tensor in state.items():
        assert back[key].shape == tensor.shape
        assert first(back[key]) == first(tensor)
    assert (len(back) > len(state)) == (layout in DUPLICATES)


def test_what_cannot_be_written_for_the_released_code_is_refused(saved, small):
    assert 'puzzle_affnet_r50' not in REFERENCE_LAYOUTS
    with pytest.raises(ValueError, match="'puzzle_affnet_r50' cannot be written"):
        to_released({}, 'puzzle_affnet_r50')
    ours = convert_released(saved(small)).state
    with pytest.raises(ValueError, match=r'missing: fc8\.weight'):
        to_released(
            {k: v for k, v in ours.items() if 'classifier' not in k}, 'vgg16_psa_cls'
        )
    with pytest.raises(ValueError, match=r'our models of .*: decode_head\.extra'):
        to_released({**ours, 'decode_head.extra': torch.ones(1)}, 'vgg16_psa_cls')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'fc8.weight': torch.zeros(20, 7, 1, 1)}, r"fc8.weight has .*\('classes', 10"),
        ({'fc8.weight': torch.zeros(0, 1024, 1, 1)}, r'fc8.weight is for 0 classes'),
        (
            {'fc8.weight': torch.zeros(()).expand(10**9, 1024, 1, 1)},
            r'fc8.weight is for 1000000000 classes, expected 1 to 10000',
        ),
        (
            {'fc7.bias': torch.zeros(1024, device='meta')},
            r'(?<!\.)fc7.bias is not a dense tensor',
        ),
        (
            {'fc7.bias': torch.zeros(1024).to_sparse()},
            r'(?<!\.)fc7.bias is not a dense tensor',
        ),
        (
            {'fc7.bias': torch.zeros(1024).int()},
            r'(?<!\.)fc7.bias holds torch.int32 values',
        ),
        ({'fc7.bias': None}, r'missing:? fc7\.bias'),
        ({'fc9.weight': torch.zeros(1)}, r'unknown .*fc9\.weight'),
        (
            {'fc7.bias': torch.full((1024,), torch.nan)},
            r'(?<!\.)fc7\.bias holds .*not finite',
        ),
    ],
)
@pytest.mark.parametrize('kind', [None, 'vgg16_psa_cls'])
def test_files_that_do_not_fit_are_refused(saved, small, changes, message, kind):
    state = {k: v for k, v in {**small, **changes}.items() if v is not None}
    with pytest.raises(ValueError, match=r'net\.pth: .*' + message):
        convert_released(saved(state), kind)


def test_heads_must_be_for_one_number_of_classes(saved):
    state = placeholders('seam_deeplabv1') | {'cls_conv.bias': torch.zeros(21)}
    with pytest.raises(ValueError, match=r'weight for 20, cls_conv\.bias for 21'):
        convert_released(saved(state))


def test_a_converted_file_is_not_converted_again(saved):
    state = convert_released(saved(placeholders('seam_deeplabv1'))).state
    with pytest.raises(
        ValueError, match=r"already names of .*'seam_deeplabv1'\); load"
    ):
        convert_released(saved(state))


def test_damaged_files_give_clean_errors(saved):
    # Torch's own reader: 10,000 such files were tried once, on torch 2.1 and 2.14.
    path, rng, refused = saved({}), random.Random(0), []
    contents = {'state_dict': {'a': torch.ones(2, 3), 'b': torch.tensor(1)}}
    wholes = [
        saved(contents, _use_new_zipfile_serialization=zipped).read_bytes()
        for zipped in (True, False)
    ]
    for i in range(1_000):
        data = bytearray(wholes[i % 2])
        at = rng.randrange(len(data))
        forged = struct.pack(
            '<q', rng.choice((0, -1, 1 << 31, 1 << 62, rng.getrandbits(60)))
        )
        data[at : at + rng.randrange(9)] = forged[: rng.randrange(9)]
        path.write_bytes(data[: rng.choice((len(data), rng.randrange(1, len(data))))])
        try:
            found = read_tensors(path)
        except ValueError as error:
            refused.append(str(error))
        else:
            assert sum(tensor.numel() for tensor in found.values()) < 100
    assert 500 < len(refused) < 1_000
    assert all(str(path) in message for message in refused)


def test_files_that_are_no_checkpoint_are_refused(saved, tmp_path):
    path = tmp_path / 'net.pth'
    with pytest.raises(ValueError, match=r'net\.pth: No such file'):
        read_tensors(path)
    for text in (b'\n<!DOCTYPE html>', b'version https://git-lfs.github.com/spec/v1'):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r'net\.pth: this is text and no weights'):
            read_tensors(path)
    path.write_bytes(b'not a checkpoint')
    with pytest.raises(ValueError, match=r'net\.pth: byte .*neither of PyTorch nor'):
        read_tensors(path)
    for contents in ([torch.zeros(1)], {}, {'model': {}}, {1: torch.ones(1)}):
        with pytest.raises(ValueError, match=r'net\.pth: expected a dict of tensors'):
            read_tensors(saved(contents))
    data = saved({'a': torch.zeros(99)}).read_bytes()
    path.write_bytes(data[:-30])
    with pytest.raises(ValueError, match=r'net\.pth: not a checkpoint .* damaged'):
        read_tensors(path)


def test_a_file_with_code_is_never_run(saved):
    with pytest.raises(ValueError, match='or holds code'):
        read_tensors(saved({'fc8.weight': convert_released}))
