"""Networks compute in half under autocast, heads and what they give do not."""

import pytest
import torch

import wsss_mm.models  # noqa: F401
from wsss_mm.models import testing
from wsss_mm.models.structures import BackboneOutput, in_single, single_precision

PLAIN = dict(decode_head=dict(type='CAMHead', in_channels=32))
DTYPES = [torch.float16, torch.bfloat16]


def need_autocast_on_cpu(dtype):
    try:
        with torch.autocast('cpu', dtype):
            pass
    except RuntimeError as error:  # torch 2.1 has bfloat16 alone
        pytest.skip(f'torch {torch.__version__}: {error}')


@pytest.mark.parametrize('dtype', DTYPES)
def test_cams_are_single_and_near(dtype):
    need_autocast_on_cpu(dtype)
    network = testing.tiny_network(PLAIN).eval()
    cams = []
    for half in (False, True):
        with torch.no_grad(), torch.autocast('cpu', dtype, enabled=half):
            samples = network.test_step(testing.batch())
        cams.append(torch.stack([sample.cam.data for sample in samples]))
        assert all(s.tag_scores.dtype == torch.float32 for s in samples)
    assert cams[1].dtype == torch.float32
    assert not torch.equal(*cams)
    assert (cams[0] - cams[1]).abs().mean() < 0.02


def test_the_backbone_is_half_and_the_head_is_not():
    network = testing.tiny_network(PLAIN)
    seen = []
    network.backbone.register_forward_hook(
        lambda module, args, maps: seen.append(maps[-1].dtype)
    )
    network.decode_head.register_forward_hook(
        lambda module, args, maps: seen.append(maps.dtype)
    )
    data = network.data_preprocessor(testing.batch(), True)
    with torch.autocast('cpu', torch.bfloat16):
        losses = network.loss(data['inputs'], data['data_samples'])
    assert seen == [torch.bfloat16, torch.float32]
    assert all(loss.dtype == torch.float32 for loss in losses.values())


def test_half_becomes_single_and_the_rest_stays():
    maps = tuple(torch.ones(1, dtype=d) for d in (*DTYPES, torch.float64))
    found = in_single(maps)
    assert [one.dtype for one in found] == [*[torch.float32] * 2, torch.float64]
    assert found[2] is maps[2]
    assert maps[0].dtype == torch.float16
    output = BackboneOutput(maps, maps[:1], maps[1:2]).in_single()
    dtypes = [one.dtype for one in (*output.attention, *output.class_tokens)]
    assert dtypes == [torch.float32] * 2


def test_no_autocast_inside():
    one = torch.ones(2, 2)
    with torch.autocast('cpu', torch.bfloat16):
        assert (one @ one).dtype == torch.bfloat16
        with single_precision(one):
            assert (one @ one).dtype == torch.float32
