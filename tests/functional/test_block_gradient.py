"""Gradients through a transformer block: autograd as the oracle, refusals."""

import pytest
import torch
from torch import nn

from wsss_mm.functional import (
    attention_weights_gradient,
    feed_forward_gradient,
    self_attention,
)


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def attention(tokens, width, heads, seed=0):
    torch.manual_seed(seed)
    module = nn.MultiheadAttention(width, heads, batch_first=True).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module, noise(1, tokens, width).requires_grad_()


def own(module, inputs):
    return self_attention(
        inputs[0].detach(),
        heads=module.num_heads,
        in_proj_weight=module.in_proj_weight.detach(),
        in_proj_bias=module.in_proj_bias.detach(),
    )


def weights_of(module):
    return dict(
        in_proj_weight=module.in_proj_weight.detach(),
        out_proj_weight=module.out_proj.weight.detach(),
    )


@pytest.mark.parametrize('tokens, width, heads', [(2, 4, 1), (9, 12, 3), (7, 8, 8)])
def test_self_attention_is_that_of_torch(tokens, width, heads):
    module, inputs = attention(tokens, width, heads)
    outputs, weights = module(inputs, inputs, inputs, average_attn_weights=False)
    found = own(module, inputs)
    torch.testing.assert_close(found.weights, weights[0])
    joined = module.out_proj(found.outputs.transpose(0, 1).flatten(1))
    torch.testing.assert_close(joined, outputs[0])


@pytest.mark.parametrize('tokens, width, heads', [(2, 4, 1), (9, 12, 3), (7, 8, 8)])
def test_gradient_through_attention_equals_autograd(tokens, width, heads):
    module, inputs = attention(tokens, width, heads)
    outputs, _ = module(inputs, inputs, inputs)
    gradients = noise(3, tokens, width, seed=2)
    wanted = torch.stack(
        [
            torch.autograd.grad(outputs[0], inputs, one, retain_graph=True)[0][0, 1:]
            for one in gradients
        ]
    )
    given = gradients, *own(module, inputs)
    before = [x.clone() for x in given]
    found = attention_weights_gradient(
        gradients, own(module, inputs), **weights_of(module)
    )
    torch.testing.assert_close(found, wanted.mean(dim=1))
    assert all(torch.equal(a, b) for a, b in zip(before, given))


def test_the_class_token_counts_as_key_and_query_of_others():
    # The mean leaves out its own row, not what patches get from it.
    module, inputs = attention(5, 6, 2)
    outputs, _ = module(inputs, inputs, inputs)
    gradients = torch.zeros(1, 5, 6, dtype=torch.float64)
    gradients[:, 0] = 1
    found = attention_weights_gradient(
        gradients, own(module, inputs), **weights_of(module)
    )
    (every,) = torch.autograd.grad(outputs[0], inputs, gradients[0])
    torch.testing.assert_close(found[0], every[0, 1:].mean(dim=0))
    assert float(found.abs().max()) > 1e-3


def half_block(width, hidden):
    torch.manual_seed(0)
    parts = nn.ModuleList(
        [
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.Linear(hidden, width),
            nn.LayerNorm(width),
        ]
    ).double()
    for parameter in parts.parameters():
        nn.init.normal_(parameter, std=0.7)
    return parts


@pytest.mark.parametrize('scores', [0, 1, 3])
@pytest.mark.parametrize('tokens, width, hidden', [(2, 4, 3), (9, 6, 24)])
def test_gradient_through_feed_forward_equals_autograd(scores, tokens, width, hidden):
    norm, first, second, behind = half_block(width, hidden)
    inputs = noise(tokens, width, seed=1).requires_grad_()
    before = first(norm(inputs))
    outputs = inputs + second(torch.tanh(before))
    mean = behind(outputs)[1:].mean(dim=0)
    gradients = noise(scores, width, seed=2)
    given = (
        gradients,
        inputs.detach(),
        outputs.detach(),
        1 - torch.tanh(before.detach()) ** 2,
    )
    kept = [one.clone() for one in given]
    found = feed_forward_gradient(
        *given,
        weights=(first.weight.detach(), second.weight.detach()),
        norms=(norm.weight.detach(), behind.weight.detach()),
        eps=1e-5,
    )
    assert found.shape == (scores, tokens, width)
    for one, gradient in zip(found, gradients):
        (wanted,) = torch.autograd.grad(mean, inputs, gradient, retain_graph=True)
        torch.testing.assert_close(one, wanted)
    # The class token is not in the mean, and tokens do not meet in this half.
    assert not found[:, 0].any()
    assert all(torch.equal(a, b) for a, b in zip(kept, given))


def test_what_does_not_fit_is_refused():
    module, inputs = attention(5, 6, 2)
    with pytest.raises(ValueError, match='do not fit'):
        self_attention(
            inputs[0],
            heads=4,
            in_proj_weight=module.in_proj_weight,
            in_proj_bias=module.in_proj_bias,
        )
    with pytest.raises(ValueError, match='as the attention has'):
        attention_weights_gradient(
            noise(1, 4, 6), own(module, inputs), **weights_of(module)
        )
    norm, first, second, behind = half_block(4, 3)
    for shapes in (
        [(1, 5), (3, 4), (3, 4), (3, 3)],
        [(1, 4), (3, 4), (2, 4), (3, 3)],
        [(1, 4), (3, 4), (3, 4), (3, 4)],
        [(1, 4), (1, 4), (1, 4), (1, 3)],
    ):
        with pytest.raises(ValueError, match='do not fit'):
            feed_forward_gradient(
                *(noise(*shape) for shape in shapes),
                weights=(first.weight, second.weight),
                norms=(norm.weight, behind.weight),
            )
