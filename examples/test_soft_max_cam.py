import pytest
import torch
from mmengine.registry import init_default_scope
from soft_max_cam import soft_max_pool

from wsss_mm.models.testing import check_head


def test_it_lies_between_mean_and_maximum():
    cam = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    mean, peak = cam.mean(dim=(2, 3)), cam.amax(dim=(2, 3))
    torch.testing.assert_close(soft_max_pool(cam, 1e-6), mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(soft_max_pool(cam, 1e4), peak, rtol=0, atol=1e-3)
    between = soft_max_pool(cam, 2.0)
    torch.testing.assert_close(between, (2 * cam).exp().mean(dim=(2, 3)).log() / 2)
    assert ((mean < between) & (between < peak)).all()


def test_its_gradient():
    cam = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: soft_max_pool(maps, 2.0), cam)


def test_a_sharpness_of_zero_is_refused():
    with pytest.raises(ValueError, match='sharpness must be positive, got 0'):
        soft_max_pool(torch.zeros(1, 1, 2, 2), 0)


def test_the_head_keeps_the_contract():
    init_default_scope('mmseg')
    check_head(dict(decode_head=dict(type='SoftMaxCAMHead', in_channels=32)))
