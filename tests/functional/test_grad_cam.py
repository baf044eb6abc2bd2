"""Softmax Grad-CAM: oracles in loops and by autograd, properties, refusals."""

import math

import pytest
import torch
from torch import nn

from wsss_mm.functional import (
    channel_weights,
    grad_cam,
    stretch,
    word_probabilities,
)


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_word_probabilities_oracle():
    features, words = noise(3, 5), nn.functional.normalize(noise(4, 5, seed=1), dim=-1)
    found = word_probabilities(features, words, scale=7)
    for i in range(3):
        length = math.sqrt(sum(float(x) ** 2 for x in features[i]))
        logits = [
            7 * sum(float(a * b) for a, b in zip(features[i], word)) / length
            for word in words
        ]
        total = sum(math.exp(logit) for logit in logits)
        wanted = [math.exp(logit) / total for logit in logits]
        assert found[i].tolist() == pytest.approx(wanted)


def test_absent_words_take_no_part():
    features, words = noise(5), nn.functional.normalize(noise(4, 5, seed=1), dim=-1)
    few, all_four = (word_probabilities(features, words[:n]) for n in (3, 4))
    torch.testing.assert_close(few, all_four[:3] / all_four[:3].sum())


def test_grad_cam_oracle():
    activations, gradients = noise(3, 2, 4), noise(2, 3, 2, 4, seed=1)
    maps = grad_cam(activations, channel_weights(gradients))
    for n in range(2):
        for y in range(2):
            for x in range(4):
                wanted = sum(
                    sum(float(g) for g in gradients[n, d].flatten())
                    / 8
                    * float(activations[d, y, x])
                    for d in range(3)
                )
                assert float(maps[n, y, x]) == pytest.approx(wanted)


def test_grad_cam_of_a_linear_score_is_its_cam():
    # For a score that is a mean of D weighted channels, Grad-CAM is CAM / cells.
    weights = noise(2, 3)
    activations = noise(3, 4, 5, seed=1).requires_grad_()
    scores = weights @ activations.mean(dim=(1, 2))
    gradients = torch.stack(
        [torch.autograd.grad(s, activations, retain_graph=True)[0] for s in scores]
    )
    found = grad_cam(activations.detach(), channel_weights(gradients))
    cam = torch.einsum('nd,dhw->nhw', weights, activations.detach())
    torch.testing.assert_close(found, cam / 20)


def test_stretch_oracle():
    maps = noise(2, 3, 4)
    for one, found in zip(maps, stretch(maps, eps=0.5)):
        values = one.flatten().tolist()
        low, high = min(values), max(values)
        wanted = [(v - low) / (high - low + 0.5) for v in values]
        assert found.flatten().tolist() == pytest.approx(wanted)


def test_stretch_is_blind_to_offset_and_nearly_to_factor():
    maps = noise(3, 4, 5)
    torch.testing.assert_close(stretch(maps * 3 + 7), stretch(maps), atol=1e-6, rtol=0)
    assert float(stretch(maps).min()) == 0
    assert not stretch(torch.ones(1, 2, 2)).any()


def test_gradcheck():
    maps = noise(2, 3, 3).requires_grad_()
    words = nn.functional.normalize(noise(4, 5, seed=1), dim=-1)
    features = noise(2, 5).requires_grad_()
    assert torch.autograd.gradcheck(stretch, maps)
    assert torch.autograd.gradcheck(
        lambda x: word_probabilities(x, words, scale=3), features
    )
    activations, weights = noise(3, 2, 2).requires_grad_(), noise(2, 3).requires_grad_()
    assert torch.autograd.gradcheck(grad_cam, (activations, weights))


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: word_probabilities(torch.ones(3), torch.ones(2, 4)), 'share E'),
        (lambda: channel_weights(torch.ones(3, 4)), r'\(\.\.\., D, h, w\)'),
        (lambda: channel_weights(torch.ones(3, 0, 4)), 'at least one cell'),
        (lambda: grad_cam(torch.ones(3, 2, 2), torch.ones(1, 4)), 'share D'),
        (lambda: stretch(torch.ones(3)), 'at least one cell'),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
