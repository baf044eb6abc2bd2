import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional.balanced_loss import balanced_cross_entropy
from wsss_mm.functional.branch_losses import dice_loss, mutual_loss, trusted_label


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.choice([0, 0, 1, 2, 255], (2, 3, 4)))
    logits = torch.from_numpy(rng.normal(size=(2, 2, 4, 3, 4)))
    return logits[0], logits[1], mask


def test_dice_in_loops(inputs):
    logits, _, mask = inputs
    before = logits.clone(), mask.clone()
    coefficients = []
    for k in range(4):
        common = area = 0.0
        for b in range(2):
            for y in range(3):
                for x in range(4):
                    p = float(logits[b, :, y, x].softmax(dim=0)[k])
                    here = float(mask[b, y, x] == k)
                    common += p * here
                    area += p + here
        coefficients.append(2 * common / (area + 1e-7))
    found = float(dice_loss(logits, mask))
    assert found == pytest.approx(1 - sum(coefficients) / 4)
    assert torch.equal(logits, before[0])
    assert torch.equal(mask, before[1])


def test_a_perfect_prediction_costs_nothing():
    mask = torch.arange(12).reshape(1, 3, 4) % 4
    logits = 50.0 * F.one_hot(mask, 4).permute(0, 3, 1, 2)
    assert dice_loss(logits, mask) < 1e-6
    assert dice_loss(-logits, mask) > 0.9


def test_each_branch_is_taught_by_the_other(inputs):
    first, second, _ = inputs
    expected = balanced_cross_entropy(first, second.argmax(dim=1))
    expected = expected + balanced_cross_entropy(second, first.argmax(dim=1))
    torch.testing.assert_close(mutual_loss(first, second), expected)
    same = torch.zeros(1, 2, 2, 2)
    same[:, 0] = 9  # background alone
    assert mutual_loss(same, same).isfinite()


def test_sure_predictions_overwrite(inputs):
    logits, _, mask = inputs
    before = mask.clone()
    found = trusted_label(mask, 3 * logits, threshold=0.75)
    changed = 0
    for b in range(2):
        for y in range(3):
            for x in range(4):
                chances = (3 * logits[b, :, y, x]).softmax(dim=0).tolist()
                expected = int(mask[b, y, x])
                if max(chances) > 0.75:
                    expected = chances.index(max(chances))
                    changed += 1
                assert found[b, y, x] == expected
    assert 0 < changed < 24
    assert torch.equal(mask, before)


def test_golden(golden):
    vector = {
        k: torch.from_numpy(v)
        for k, v in golden('weclip_plus_80x112').items()
        if v.dtype.kind != 'U'
    }
    clip, dino = (
        F.interpolate(vector[name], (80, 112), mode='bilinear')
        for name in ('seg_clip', 'seg_dino')
    )
    mean, mask = (clip + dino) / 2, vector['labels'].long()
    late = trusted_label(mask, mean)
    assert torch.equal(late, vector['late_labels'].long())
    for when, label in (('early', mask), ('late', late)):
        loss = balanced_cross_entropy(mean, label)
        torch.testing.assert_close(loss, vector[f'{when}_seg'], rtol=1e-4, atol=0)
        loss = dice_loss(mean, label)
        torch.testing.assert_close(loss, vector[f'{when}_dice'], rtol=1e-4, atol=0)
    expected = vector['early_clip_by_dino'] + vector['early_dino_by_clip']
    torch.testing.assert_close(mutual_loss(clip, dino), expected, rtol=1e-4, atol=0)


def test_gradients(inputs):
    first, second, mask = (one.clone() for one in inputs)
    first.requires_grad_()
    second.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, mask), first)
    assert torch.autograd.gradcheck(mutual_loss, (first, second))


def test_bad_input_is_refused(inputs):
    first, _, mask = inputs
    with pytest.raises(ValueError, match=r'mask \(B, H, W\), got'):
        dice_loss(first, mask[:1])
    with pytest.raises(ValueError, match='both branches must have one shape'):
        mutual_loss(first, first[:1])
    with pytest.raises(ValueError, match=r'mask must have the shape \(B, H, W\)'):
        trusted_label(mask[0], first)
