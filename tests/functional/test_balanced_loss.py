import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional.balanced_loss import balanced_cross_entropy


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.choice([0, 0, 1, 2, 255], (2, 3, 4)))
    return torch.from_numpy(rng.normal(size=(2, 3, 3, 4))), mask


def in_loops(logits, mask):
    costs = {True: [], False: []}
    for b in range(len(mask)):
        for y in range(mask.shape[1]):
            for x in range(mask.shape[2]):
                label = int(mask[b, y, x])
                if label != 255:
                    scores = logits[b, :, y, x].tolist()
                    total = math.log(sum(math.exp(s) for s in scores))
                    costs[label == 0].append(total - scores[label])
    return sum(sum(half) / len(half) for half in costs.values() if half) / 2


def test_equals_the_definition(inputs):
    logits, mask = inputs
    before = logits.clone(), mask.clone()
    found = balanced_cross_entropy(logits, mask)
    assert float(found) == pytest.approx(in_loops(logits, mask))
    assert torch.equal(logits, before[0])
    assert torch.equal(mask, before[1])


def test_a_missing_half_is_left_out(inputs):
    logits, mask = inputs
    for missing in (mask == 0, mask != 0, mask >= 0):
        part = mask.masked_fill(missing, 255)
        logits.requires_grad_()
        found = balanced_cross_entropy(logits, part)
        assert float(found) == pytest.approx(in_loops(logits.detach(), part))
        (gradient,) = torch.autograd.grad(found, logits)
        assert gradient.isfinite().all()


def test_golden(golden):
    vector = golden('weclip_unit_losses')
    mask = torch.from_numpy(vector['label'].astype('i8'))
    low = torch.from_numpy(vector['seg_low']).requires_grad_()
    logits = F.interpolate(low, (64, 96), mode='bilinear', align_corners=False)
    loss = balanced_cross_entropy(logits, mask)
    expected = torch.from_numpy(vector['seg_loss'])
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    (gradient,) = torch.autograd.grad(loss, low)
    expected = torch.from_numpy(vector['seg_grad'])
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)


def test_background_and_foreground_weigh_the_same():
    mask = torch.zeros(1, 10, 10, dtype=torch.int64)
    mask[0, 0, 0] = 1  # one pixel against ninety-nine
    logits = torch.zeros(1, 2, 10, 10)
    logits[:, 0] = 3
    low, high = math.log1p(math.exp(-3)), math.log1p(math.exp(3))
    found = float(balanced_cross_entropy(logits, mask))
    assert found == pytest.approx((low + high) / 2, rel=1e-5)


def test_gradients(inputs):
    logits, mask = inputs
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: balanced_cross_entropy(x, mask), logits)


def test_bad_input_is_refused(inputs):
    logits, mask = inputs
    with pytest.raises(ValueError, match=r'mask \(B, H, W\), got'):
        balanced_cross_entropy(logits, mask[:1])
    with pytest.raises(ValueError, match=r'logits must have the shape \(B, K, H, W\)'):
        balanced_cross_entropy(logits[0], mask)
