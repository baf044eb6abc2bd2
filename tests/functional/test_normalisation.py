"""The four normalisations side by side; each one's own tests stand with its method."""

import pytest
import torch
from torch.testing import assert_close

import wsss_mm.functional
from wsss_mm.functional import (
    inference_max_norm,
    inference_min_max_norm,
    training_max_norm,
    training_min_max_norm,
)


@pytest.fixture
def cam():
    """Maps whose smallest value is well above zero."""
    return 1 + torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('max_norm', training_min_max_norm),
        ('peak_norm', training_max_norm),
        ('normalize_min_max', inference_min_max_norm),
        ('normalize_max', inference_max_norm),
    ],
)
def test_the_names_of_old(old, new):
    assert getattr(wsss_mm.functional, old) is new
    assert old in wsss_mm.functional.__all__


def test_training_and_inference_agree_on_positive_maps(cam):
    """What a training normalisation drops is below zero at inference."""
    for image in range(2):
        pair = training_min_max_norm(cam)[image], inference_min_max_norm(cam[image])
        assert_close(pair[0], pair[1].clamp(min=0), atol=1e-4, rtol=0)
        pair = training_max_norm(cam)[image], inference_max_norm(cam[image])
        assert_close(*pair, atol=1e-4, rtol=0)


def test_only_two_take_off_the_minimum(cam):
    for norm in (training_min_max_norm, lambda x: inference_min_max_norm(x[0])):
        assert norm(cam).amin().item() <= 0
    for norm in (training_max_norm, lambda x: inference_max_norm(x[0])):
        assert norm(cam).amin().item() > 0.4


@pytest.mark.parametrize('norm', [training_min_max_norm, training_max_norm])
def test_training_passes_gradients_through_the_maximum(norm, cam):
    leaf = cam.clone().requires_grad_()
    pixels = leaf[0, 0].flatten()
    middle, peak = pixels.argsort()[[15, -1]]
    norm(leaf)[0, 0].flatten()[middle].backward()
    gradient = leaf.grad[0, 0].flatten()
    assert gradient[middle] > 0
    assert gradient[peak] < 0
    assert not leaf.grad[1].any()
