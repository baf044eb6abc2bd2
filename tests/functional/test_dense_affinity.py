import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional.dense_affinity import (
    dense_affinity_label,
    dense_affinity_loss,
    feature_affinity,
)


@pytest.fixture
def mask():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.choice([0, 0, 3, 7, 255], (2, 4, 5)))


def test_affinity_is_the_sigmoid_of_products():
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64)
    found = feature_affinity(features)
    for b in range(2):
        for i in range(6):
            for j in range(6):
                one = features[b, :, i // 3, i % 3]
                other = features[b, :, j // 3, j % 3]
                expected = 1 / (1 + torch.exp(-(one * other).sum()))
                assert found[b, i, j] == pytest.approx(float(expected))
    torch.testing.assert_close(found, found.mT)


@pytest.mark.parametrize('radius', [0, 1, 2, 8])
def test_label_in_loops(mask, radius):
    before = mask.clone()
    label = dense_affinity_label(mask, radius=radius)
    for b in range(2):
        for i in range(20):
            for j in range(20):
                (y, x), (v, u) = divmod(i, 5), divmod(j, 5)
                one, other = int(mask[b, y, x]), int(mask[b, v, u])
                expected = int(one == other)
                if abs(y - v) > radius or abs(x - u) > radius or 255 in (one, other):
                    expected = 255
                assert label[b, i, j] == expected
    assert torch.equal(mask, before)


def test_loss_in_loops(mask):
    label = dense_affinity_label(mask, radius=2)
    affinity = torch.rand(label.shape, dtype=torch.float64)
    like = [1 - float(a) for a, k in zip(affinity.flatten(), label.flatten()) if k == 1]
    unlike = [float(a) for a, k in zip(affinity.flatten(), label.flatten()) if k == 0]
    expected = sum(like) / (len(like) + 1) / 2 + sum(unlike) / (len(unlike) + 1) / 2
    assert dense_affinity_loss(affinity, label) == pytest.approx(expected)


def test_golden(golden):
    vector = {k: torch.from_numpy(v) for k, v in golden('weclip_unit_losses').items()}
    mask = F.interpolate(vector['label'][:, None].float(), (4, 6))[:, 0].long()
    for radius in (1, 2, 8):
        label = dense_affinity_label(mask, radius=radius)
        assert torch.equal(label, vector[f'aff_label_r{radius}'].long())
        counts = [(label == 1).sum() + 1, (label == 0).sum() + 1]  # as divided by
        assert torch.equal(torch.stack(counts).int(), vector[f'counts_r{radius}'])
        affinity = vector['attn_pred'].clone().requires_grad_()
        loss = dense_affinity_loss(affinity, label)
        torch.testing.assert_close(loss, vector[f'aff_loss_r{radius}'])
        (gradient,) = torch.autograd.grad(loss, affinity)
        torch.testing.assert_close(gradient, vector[f'aff_grad_r{radius}'])
    for height, width, radius in ((7, 9, 3), (20, 20, 8)):
        flat = torch.zeros(1, height, width, dtype=torch.int64)
        near = dense_affinity_label(flat, radius=radius)[0] == 1
        expected = vector[f'mask_{height}x{width}_r{radius}']
        assert torch.equal(near, expected.bool())


def test_a_batch_without_pairs_costs_nothing(mask):
    affinity = torch.rand(2, 20, 20, requires_grad=True)
    label = dense_affinity_label(torch.full_like(mask, 255))
    loss = dense_affinity_loss(affinity, label)
    assert loss == 0
    loss.backward()
    assert not affinity.grad.any()


def test_perfect_affinities_cost_nothing(mask):
    label = dense_affinity_label(mask)
    assert dense_affinity_loss((label == 1).float(), label) == 0
    assert dense_affinity_loss((label == 0).float(), label) > 0.9


def test_gradients(mask):
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    label = dense_affinity_label(mask, radius=2)
    assert torch.autograd.gradcheck(
        lambda f: dense_affinity_loss(feature_affinity(f), label), features
    )


def test_bad_input_is_refused(mask):
    with pytest.raises(ValueError, match=r'features must have the shape \(B, D, h, w'):
        feature_affinity(torch.rand(3, 4, 5))
    with pytest.raises(ValueError, match=r'mask must hold integers of shape \(B, h, w'):
        dense_affinity_label(mask[0])
    with pytest.raises(ValueError, match='mask must hold integers'):
        dense_affinity_label(mask.float())
    with pytest.raises(ValueError, match='radius must not be negative, got -1'):
        dense_affinity_label(mask, radius=-1)
    with pytest.raises(ValueError, match='must have the same shape'):
        dense_affinity_loss(torch.rand(2, 3, 3), torch.ones(2, 4, 4))
