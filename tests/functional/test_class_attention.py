"""Class-token attention: loops as the oracle, refusals."""

import pytest
import torch

from wsss_mm.functional import attended_cam, class_attention


@pytest.mark.parametrize('class_tokens', [1, 3])
def test_class_attention_oracle(class_tokens):
    generator = torch.Generator().manual_seed(0)
    layers = [
        torch.rand(2, 2, 4 + class_tokens, 4 + class_tokens, generator=generator)
        for _ in range(3)
    ]
    found = class_attention(layers, layers=2, class_tokens=class_tokens)
    assert found.shape == (2, class_tokens, 4)
    for b in range(2):
        for c in range(class_tokens):
            for n in range(4):
                total = sum(
                    float(layers[i][b, head, c, class_tokens + n])
                    for i in (1, 2)
                    for head in (0, 1)
                )
                assert float(found[b, c, n]) == pytest.approx(total / 4)


@pytest.mark.parametrize('tokens', [1, 2])
def test_attended_cam_oracle(tokens):
    generator = torch.Generator().manual_seed(1)
    cam = torch.rand(2, 2, 3, generator=generator)
    attention = torch.rand(tokens, 6, generator=generator)
    given = cam.clone(), attention.clone()
    found = attended_cam(cam, attention)
    for i in range(2):
        own = attention[i % tokens].tolist()
        low, high = min(own), max(own)
        values = cam[i].flatten().tolist()
        least, most = min(values), max(values)
        for n in range(6):
            seen = (own[n] - low) / (high - low + 1e-7)
            value = (values[n] - least) / (most - least + 1e-7)
            expected = (seen * value) ** 0.5
            assert float(found[i].flatten()[n]) == pytest.approx(expected, abs=1e-5)
    assert torch.equal(cam, given[0])
    assert torch.equal(attention, given[1])
    assert float(found.min()) >= 0
    assert float(found.max()) < 1


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda: class_attention([], layers=1), r'layers must be in 1\.\.0'),
        (
            lambda: class_attention([torch.ones(1, 1, 3, 3)], layers=1, class_tokens=0),
            'class_tokens must be positive',
        ),
        (lambda: attended_cam(torch.ones(2, 2, 3), torch.ones(3, 6)), 'do not fit'),
        (lambda: attended_cam(torch.ones(2, 2, 3), torch.ones(1, 5)), 'do not fit'),
        (lambda: attended_cam(-torch.ones(1, 2, 3), torch.ones(1, 6)), 'rectify'),
    ],
)
def test_class_attention_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
