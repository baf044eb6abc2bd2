import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional.attention_affinity import (
    attention_affinity,
    attention_transition,
    box_mask,
    kept_layers,
    patch_attention,
    refine_cam,
    select_attention,
    sinkhorn,
)
from wsss_mm.functional.grad_cam import stretch


def attention_of(layers, cells, *, seed=0, batch=1, heads=1, sharpness=1.0):
    """Attention maps as a transformer's softmax gives them, a class token first."""
    generator = torch.Generator().manual_seed(seed)
    shape = (layers, batch, heads, cells + 1, cells + 1)
    logits = sharpness * torch.randn(shape, generator=generator, dtype=torch.float64)
    return tuple(logits.softmax(dim=-1))


def close(found, expected, atol=1e-4):
    torch.testing.assert_close(found, torch.as_tensor(expected), rtol=1e-4, atol=atol)


def test_patch_attention_is_the_mean_over_heads_without_class_tokens():
    maps = attention_of(5, 6, batch=2, heads=3)
    found = patch_attention(maps, layers=2)
    assert found.shape == (2, 2, 6, 6)
    for b in range(2):
        for place, layer in enumerate((3, 4)):
            for i in range(6):
                for j in range(6):
                    values = [maps[layer][b, h, i + 1, j + 1] for h in range(3)]
                    assert found[b, place, i, j] == pytest.approx(sum(values) / 3)
    assert patch_attention(maps, layers=5, class_tokens=3).shape == (2, 5, 4, 4)


def test_rows_and_columns_sum_to_one_after_many_rounds():
    attention = patch_attention(attention_of(1, 12), layers=1)[0, 0]
    before = attention.clone()
    for rounds, error in ((1, 0.2), (3, 1e-2), (30, 1e-9)):
        found = sinkhorn(attention, rounds=rounds)
        close(found.sum(dim=1), np.ones(12), atol=1e-12)
        assert (found.sum(dim=0) - 1).abs().max() < error
        assert found.min() > 0
    assert torch.equal(attention, before)


def test_sinkhorn_in_loops():
    attention = patch_attention(attention_of(1, 5), layers=1)[0, 0]
    rows = attention.tolist()
    for _ in range(3):
        columns = [sum(row[j] for row in rows) for j in range(5)]
        rows = [[row[j] / columns[j] for j in range(5)] for row in rows]
        rows = [[value / sum(row) for value in row] for row in rows]
    close(sinkhorn(attention), np.array(rows), atol=1e-12)


def test_what_is_in_balance_stays():
    balanced = torch.full((4, 4), 0.25)
    torch.testing.assert_close(sinkhorn(balanced), balanced)
    torch.testing.assert_close(attention_transition(balanced), balanced)


def test_the_affinity_is_symmetric_and_the_transition_its_square():
    attention = patch_attention(attention_of(2, 7, batch=3), layers=2).mean(dim=1)
    affinity = attention_affinity(attention)
    assert torch.equal(affinity, affinity.mT)
    for one, whole in zip(affinity, attention_transition(attention)):
        close(whole, one @ one, atol=1e-12)
    single = attention_affinity(attention[1])
    torch.testing.assert_close(single, affinity[1])


def test_half_precision_is_computed_in_float32():
    attention = attention_of(1, 6)[0][0, 0]
    assert sinkhorn(attention.half()).dtype == torch.float32
    close(sinkhorn(attention.half()), sinkhorn(attention).float(), atol=2e-3)


def test_golden_synthetic_attention(golden):
    vector = golden('clipes_unit_caa_4x5')
    maps = tuple(torch.from_numpy(vector['attn']).unsqueeze(2))
    mean = patch_attention(maps, layers=8).mean(dim=1)[0]
    close(mean, vector['attn_mean8'])
    transition = attention_transition(mean)
    close(transition, vector['trans_mat'])
    cam = torch.from_numpy(vector['cam'])
    mask = box_mask(cam, threshold=0.4)
    assert torch.equal(mask.float(), torch.from_numpy(vector['box_mask']))
    refined = refine_cam(cam, transition, mask)
    close(refined, vector['refined'])
    up = F.interpolate(stretch(refined)[None], (61, 75), mode='bilinear')[0]
    close(up, vector['refined_up'])


def test_golden_of_clip(golden):
    vector = golden('clipes_caa_75x100')
    mean = torch.from_numpy(vector['attn_mean8'])
    close(sinkhorn(mean, rounds=1), vector['sinkhorn1'])
    close(sinkhorn(mean, rounds=3), vector['sinkhorn3'])
    affinity = attention_affinity(mean)
    close(affinity, vector['sym'])
    close(attention_transition(mean), vector['trans_mat'])
    cam = torch.from_numpy(vector['cam'])
    mask = box_mask(cam, threshold=0.4)
    assert torch.equal(mask.float(), torch.from_numpy(vector['box_mask']))
    # Twice the symmetric affinity is once its square.
    refined = refine_cam(refine_cam(cam, affinity, mask), affinity)
    close(refined, vector['refined'])
    up = F.interpolate(stretch(refined)[None], (75, 100), mode='bilinear')[0]
    close(up, vector['refined_highres'])


def contour_mask(cam, threshold, full=False):
    """The released procedure with OpenCV's contours, holes included."""
    levels = (cam * 255).astype(np.uint8)[..., None]
    limit = int(threshold * np.max(levels))
    _, binary = cv2.threshold(levels, limit, 255, cv2.THRESH_BINARY)
    contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
    height, width = cam.shape
    mask = np.zeros(cam.shape, bool)
    for contour in contours:
        x, y, w, h = cv2.boundingRect(contour)
        right, bottom = x + w, y + h
        if not full:
            right, bottom = min(right, width - 1), min(bottom, height - 1)
        mask[y:bottom, x:right] = True
    return mask


def test_box_masks_equal_those_of_contours_on_a_thousand_maps():
    rng = np.random.default_rng(0)
    covered = 0
    for case in range(1000):
        height, width = rng.integers(1, 24, 2)
        cam = rng.random((height, width), dtype=np.float32) ** rng.integers(1, 5)
        if case % 2:  # blobs instead of noise
            cam = cv2.GaussianBlur(cam, (0, 0), 1.5)
        cam = stretch(torch.from_numpy(cam.reshape(1, height, width)))
        threshold = float(rng.choice([0, 0.25, 0.4, 0.7, 0.95]))
        for full in (False, True):
            expected = contour_mask(cam[0].numpy(), threshold, full)
            found = box_mask(cam, threshold=threshold, full_boxes=full)[0]
            np.testing.assert_array_equal(found.numpy(), expected)
            covered += expected.mean()
    assert 200 < covered < 1800


def test_golden_boxes(golden):
    vector = golden('clipes_unit_boxes')
    masks = [key for key in vector if key.startswith('mask') and key.endswith('_all')]
    for key in masks:
        name, threshold = key.removeprefix('mask_').removesuffix('_all').rsplit('_t', 1)
        cam = torch.from_numpy(vector[f'map_{name}'])[None]
        mask = box_mask(cam, threshold=float(threshold))[0]
        np.testing.assert_array_equal(mask.numpy(), vector[key].astype(bool), key)
    assert len(masks) == 22


def test_a_map_strong_at_the_last_row_alone():
    cam = torch.zeros(2, 4, 5)
    cam[0, 3, 1:3] = 1
    assert not box_mask(cam, threshold=0.4).any()
    mask = box_mask(cam, threshold=0.4, full_boxes=True)
    assert torch.equal(mask, cam.bool())


def test_refined_maps_spread_from_the_mask():
    transition = attention_transition(attention_of(1, 6)[0][0, 0, 1:, 1:])
    generator = torch.Generator().manual_seed(1)
    cam = torch.rand(2, 2, 3, generator=generator, dtype=torch.float64)
    before = cam.clone()
    mask = torch.tensor([[[1, 1, 0], [1, 1, 0]], [[0, 0, 0], [0, 1, 0]]]).bool()
    found = refine_cam(cam, transition, mask)
    for n in range(2):
        for i in range(6):
            total = 0.0
            for j in range(6):
                if mask[n, j // 3, j % 3]:
                    total += float(transition[i, j] * cam[n, j // 3, j % 3])
            assert found[n, i // 3, i % 3] == pytest.approx(total)
    assert torch.equal(cam, before)
    torch.testing.assert_close(
        refine_cam(cam, transition), refine_cam(cam, transition, torch.ones_like(mask))
    )


@pytest.mark.parametrize('when', ['before', 'after'])
def test_golden_layers_of_weclip(golden, when):
    vector = golden(f'weclip_step_{when}_64x96')
    net = golden('weclip_net_64x96')
    attention = torch.from_numpy(net['enc_attn_last8'])[:, -6:]
    affinity = torch.from_numpy(net['attn_pred'])
    kept = torch.from_numpy(vector['attn_keep6']).bool()
    assert torch.equal(kept_layers(attention, affinity), kept)
    difference = (affinity[:, None] - attention).sum(dim=(2, 3))
    torch.testing.assert_close(difference, torch.from_numpy(vector['attn_diff6']))
    selected = select_attention(attention, affinity)
    if when == 'after':
        close(selected, vector['attn_used'], atol=1e-6)
    used = torch.from_numpy(vector['attn_used'])
    close(attention_transition(used), vector['trans_mat'])


def test_layers_are_averaged_and_weighed():
    attention = torch.stack([torch.full((3, 3), v) for v in (0.1, 0.2, 0.6)])[None]
    affinity = torch.eye(3)[None]
    assert kept_layers(attention, affinity).tolist() == [[False, False, True]]
    close(select_attention(attention, affinity)[0], 0.6 * np.eye(3, dtype='f4'))
    # Equal layers are kept, all of them, however their mean is rounded.
    same = torch.full((1, 6, 3, 3), 0.1)
    assert kept_layers(same, affinity).all()


def test_gradients():
    attention = attention_of(3, 4)
    inputs = [patch_attention(attention, layers=3).requires_grad_()]
    affinity = torch.rand(1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(select_attention, (inputs[0], affinity))
    assert torch.autograd.gradcheck(attention_transition, inputs)
    cam = torch.rand(2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(refine_cam, (cam, affinity[0]))


def test_bad_input_is_refused():
    maps = attention_of(3, 4)
    with pytest.raises(ValueError, match=r'layers must be in 1\.\.3, got 4'):
        patch_attention(maps, layers=4)
    with pytest.raises(ValueError, match='M > 5 class tokens'):
        patch_attention(maps, layers=1, class_tokens=5)
    with pytest.raises(ValueError, match=r'shape \(B, heads, M, M\)'):
        patch_attention([maps[0][0]], layers=1)
    with pytest.raises(ValueError, match=r'floating point of shape \(\.\.\., N, N\)'):
        sinkhorn(torch.ones(3, 4))
    with pytest.raises(ValueError, match='floating point'):
        attention_affinity(torch.ones(3, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match='rounds must be positive'):
        sinkhorn(torch.ones(3, 3), rounds=0)
    with pytest.raises(ValueError, match=r'affinity \(B, N, N\), got'):
        select_attention(torch.ones(1, 2, 3, 3), torch.ones(1, 4, 4))
    with pytest.raises(ValueError, match=r'threshold must be in \[0, 1\)'):
        box_mask(torch.ones(1, 2, 2), threshold=1)
    for wrong in (1.5, -0.1, float('nan')):
        with pytest.raises(ValueError, match=r'cam must be in \[0, 1\]'):
            box_mask(torch.full((1, 2, 2), wrong), threshold=0.4)
    with pytest.raises(ValueError, match=r'transition \(h w, h w\)'):
        refine_cam(torch.ones(1, 2, 2), torch.ones(3, 3))
    with pytest.raises(ValueError, match=r'mask .* must have the shape of cam'):
        refine_cam(torch.ones(1, 2, 2), torch.ones(4, 4), torch.ones(2, 2))
