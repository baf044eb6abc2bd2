import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck
from torch.testing import assert_close

from wsss_mm.functional import (
    competing_cam,
    inference_max_norm,
    inference_min_max_norm,
    mask_absent,
    sum_views,
    tag_loss,
    training_min_max_norm,
    upsampled_mean,
    with_background,
)

EPS = 1e-5


def draw(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


@pytest.fixture
def cam():
    return draw(2, 4, 3, 5)


def each_map(cam):
    return ((n, c) for n in range(cam.shape[0]) for c in range(cam.shape[1]))


def pixels(cam):
    height, width = cam.shape[-2:]
    return [(y, x) for y in range(height) for x in range(width)]


# --- training_min_max_norm


def training_min_max_norm_by_pixel(cam):
    out = torch.zeros_like(cam)
    for n, c in each_map(cam):
        values = [max(cam[n, c, y, x].item(), 0.0) for y, x in pixels(cam)]
        low, high = min(values), max(values)
        for (y, x), value in zip(pixels(cam), values):
            out[n, c, y, x] = max(value - low - EPS, 0.0) / (high - low + EPS)
    return out


def test_training_min_max_norm_golden(golden):
    vectors = golden('seam_max_norm')
    out = training_min_max_norm(torch.from_numpy(vectors['x']))
    assert_close(out, torch.from_numpy(vectors['y']), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shift', [0.0, 3.0], ids=['mixed signs', 'all positive'])
def test_training_min_max_norm_equals_the_definition(cam, shift):
    assert_close(
        training_min_max_norm(cam + shift), training_min_max_norm_by_pixel(cam + shift)
    )


def test_training_min_max_norm_gradient_flows_through_maximum_and_minimum():
    cam = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64).view(1, 1, 1, 3)
    cam.requires_grad_()
    training_min_max_norm(cam)[0, 0, 0, 1].backward()
    # y = (x - m - e) / (M - m + e): the extremes take part with these slopes.
    span, lift = 4 + EPS, 1 - EPS
    expected = [(lift - span) / span**2, 1 / span, -lift / span**2]
    assert_close(cam.grad.flatten(), torch.tensor(expected, dtype=torch.float64))


def test_training_min_max_norm_gradcheck(cam):
    assert gradcheck(training_min_max_norm, (cam.requires_grad_(),))


def test_training_min_max_norm_of_a_negative_map_is_zero():
    assert torch.equal(
        training_min_max_norm(-torch.ones(1, 2, 3, 3)), torch.zeros(1, 2, 3, 3)
    )


def test_training_min_max_norm_treats_every_map_alone(cam):
    changed = cam.clone()
    changed[0, 0] *= 9
    out, before = training_min_max_norm(changed), training_min_max_norm(cam)
    assert torch.equal(out[0, 1:], before[0, 1:])
    assert torch.equal(out[1], before[1])
    assert_close(out[0, 0], before[0, 0], atol=1e-4, rtol=0)


# --- competing_cam


def competing_by_pixel(cam):
    out = torch.zeros_like(cam)
    for n in range(len(cam)):
        high = [max(cam[n, c].max().item(), 0.0) for c in range(cam.shape[1])]
        for y, x in pixels(cam):
            scores = [
                max(max(cam[n, c, y, x].item(), 0.0) - EPS, 0.0) / (high[c] + EPS)
                for c in range(1, cam.shape[1])
            ]
            best = max(scores)
            out[n, 0, y, x] = 1 - best
            for c, score in enumerate(scores, start=1):
                out[n, c, y, x] = score if score == best else 0.0
    return out


def test_competing_cam_golden(golden):
    vectors = golden('seam_cam_d_norm')
    out = competing_cam(torch.from_numpy(vectors['cam']))
    assert_close(out, torch.from_numpy(vectors['out']), rtol=1e-4, atol=1e-5)


def test_competing_cam_equals_the_definition(cam):
    assert_close(competing_cam(cam), competing_by_pixel(cam))


def test_competing_cam_keeps_one_foreground_class_a_pixel(cam):
    out = competing_cam(cam)
    assert ((out[:, 1:] > 0).sum(dim=1) <= 1).all()
    assert_close(out.sum(dim=1), torch.ones_like(out[:, 0]))


def test_competing_cam_keeps_every_winner_of_a_tie():
    cam = torch.tensor([9.0, 2.0, 2.0, 2.0]).view(1, 4, 1, 1).repeat(1, 1, 1, 2)
    cam[0, 3, 0, 1] = 1.0  # wins at 0 like the others, loses at 1
    out = competing_cam(cam)
    assert (out[0, 1:, 0, 0] > 0.99).all()
    assert out[0, :, 0, 1].gt(0.9).tolist() == [False, True, True, False]


def test_competing_cam_ignores_the_given_background(cam):
    other = cam.clone()
    other[:, 0] = 100.0
    assert torch.equal(competing_cam(other), competing_cam(cam))


def test_competing_cam_passes_no_gradient(cam):
    assert not competing_cam(cam.requires_grad_()).requires_grad


def test_competing_cam_needs_foreground():
    with pytest.raises(ValueError, match='at least one foreground channel'):
        competing_cam(torch.zeros(1, 1, 2, 2))


# --- with_background and mask_absent


def test_with_background_equals_the_definition(cam):
    out = with_background(cam)
    assert torch.equal(out[:, 1:], cam)
    for n in range(len(cam)):
        for y, x in pixels(cam):
            best = max(cam[n, c, y, x].item() for c in range(cam.shape[1]))
            assert out[n, 0, y, x].item() == 1 - best


def test_with_background_gradcheck(cam):
    assert gradcheck(with_background, (cam.requires_grad_(),))


def test_mask_absent_zeroes_exactly_the_absent_classes(cam):
    labels = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]])
    out = mask_absent(cam, labels)
    for n, c in each_map(cam):
        expected = cam[n, c] if labels[n, c] else torch.zeros_like(cam[n, c])
        assert torch.equal(out[n, c], expected)


def test_mask_absent_gradient_stops_at_absent_classes(cam):
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1]])
    mask_absent(cam.requires_grad_(), labels).sum().backward()
    assert torch.equal(cam.grad, labels[..., None, None].to(cam).expand_as(cam))


@pytest.mark.parametrize('shape', [(2, 3), (1, 4), (2, 4, 1, 1)])
def test_mask_absent_refuses_labels_of_another_shape(cam, shape):
    with pytest.raises(ValueError, match=r'labels must have the shape \(2, 4\)'):
        mask_absent(cam, torch.zeros(shape))


# --- inference


def test_inference_min_max_norm_golden(golden):
    vectors = golden('seam_infer_norm')
    out = inference_min_max_norm(torch.from_numpy(vectors['sum_cam']))
    assert_close(out, torch.from_numpy(vectors['norm_cam']), rtol=1e-9, atol=1e-9)


def test_inference_max_norm_golden(golden):
    summed = torch.from_numpy(golden('seam_infer_norm')['sum_cam'])
    expected = torch.from_numpy(golden('psa_infer_norm')['norm_cam'])
    assert_close(inference_max_norm(summed), expected, rtol=1e-9, atol=1e-9)


def inference_min_max_norm_by_pixel(cam):
    out = torch.zeros_like(cam)
    for c in range(len(cam)):
        values = {at: max(cam[(c, *at)].item(), 0.0) for at in pixels(cam)}
        low, high = min(values.values()), max(values.values())
        for at, value in values.items():
            kept = 0.0 if value < low + EPS else value
            out[(c, *at)] = (kept - low - EPS) / (high - low + EPS)
    return out


@pytest.mark.parametrize('shift', [0.0, 3.0])
def test_inference_min_max_norm_equals_the_definition(cam, shift):
    summed = cam[0] + shift
    assert_close(
        inference_min_max_norm(summed), inference_min_max_norm_by_pixel(summed)
    )


def test_inference_min_max_norm_leaves_dropped_values_below_zero():
    out = inference_min_max_norm(torch.tensor([[[1.0, 2.0, 3.0]]]))
    assert_close(out, torch.tensor([[[-0.5, 0.5, 1.0]]]), atol=1e-4, rtol=0)


def test_inference_min_max_norm_of_an_empty_map_is_minus_one():
    assert_close(inference_min_max_norm(torch.zeros(1, 2, 2)), -torch.ones(1, 2, 2))


def test_inference_max_norm_equals_the_definition(cam):
    out = inference_max_norm(cam[0])
    for c in range(cam.shape[1]):
        high = max(cam[0, c, y, x].item() for y, x in pixels(cam))
        for y, x in pixels(cam):
            assert out[c, y, x].item() == pytest.approx(
                cam[0, c, y, x].item() / (high + EPS), rel=1e-12
            )


def test_sum_views_adds_and_leaves_the_views_alone(cam):
    views = [cam[0], cam[1], draw(4, 3, 5, seed=1)]
    copies = [view.clone() for view in views]
    assert torch.equal(sum_views(views), views[0] + views[1] + views[2])
    assert all(map(torch.equal, views, copies))


def test_sum_views_refuses_nothing_and_mixed_shapes():
    with pytest.raises(ValueError, match='at least one view'):
        sum_views([])
    with pytest.raises(ValueError, match='one shape'):
        sum_views([torch.zeros(1, 2, 2), torch.zeros(1, 2, 3)])


# --- tag_loss


def test_tag_loss_equals_the_definition():
    logits, labels = draw(3, 4), draw(3, 4, seed=1) > 0
    terms = []
    for n in range(3):
        for c in range(4):
            p = 1 / (1 + math.exp(-logits[n, c].item()))
            terms.append(-math.log(p if labels[n, c] else 1 - p))
    expected = sum(terms) / len(terms)
    assert tag_loss(logits, labels).item() == pytest.approx(expected, rel=1e-9)


def test_tag_loss_gradcheck():
    labels = (draw(3, 4, seed=1) > 0).double()
    assert gradcheck(lambda x: tag_loss(x, labels), (draw(3, 4).requires_grad_(),))


@pytest.mark.parametrize('shape', [(2, 3), (2, 4, 1, 1), (1, 4)])
def test_tag_loss_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r'must share the shape \(B, C\)'):
        tag_loss(torch.zeros(2, 4), torch.zeros(shape))


# --- all of them

BATCHED = [training_min_max_norm, competing_cam, with_background]
SINGLE = [inference_min_max_norm, inference_max_norm]


@pytest.mark.parametrize('function', BATCHED + SINGLE)
def test_input_is_left_alone(function, cam):
    given = cam if function in BATCHED else cam[0]
    copy = given.clone()
    function(given)
    assert torch.equal(given, copy)


def test_mask_absent_leaves_its_input_alone(cam):
    copy, labels = cam.clone(), torch.zeros(2, 4)
    mask_absent(cam, labels)
    assert torch.equal(cam, copy)


@pytest.mark.parametrize('shape', [(4, 3, 5), (2, 4, 15), (2, 0, 3, 3), (2, 4, 0, 3)])
@pytest.mark.parametrize('function', BATCHED)
def test_other_than_a_batch_of_maps_is_refused(function, shape):
    with pytest.raises(ValueError, match=r'must have the shape \(B, C, H, W\)'):
        function(torch.zeros(shape))


@pytest.mark.parametrize('shape', [(2, 4, 3, 5), (3, 5), (0, 3, 5), (4, 0, 5)])
@pytest.mark.parametrize('function', SINGLE)
def test_other_than_one_map_stack_is_refused(function, shape):
    with pytest.raises(ValueError, match=r'must have the shape \(C, H, W\)'):
        function(torch.zeros(shape))


@pytest.mark.parametrize('size', [(4, 3), (9, 13), (31, 2)])
def test_the_upsampled_mean_is_the_mean_of_the_upsampled_map(size):
    cam = torch.randn(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    resized = F.interpolate(cam, size, mode='bilinear', align_corners=True)
    assert_close(upsampled_mean(cam, size), resized.mean(dim=(2, 3)))
    assert torch.autograd.gradcheck(lambda c: upsampled_mean(c, size), cam)


def test_the_upsampled_mean_refuses_a_single_map():
    with pytest.raises(ValueError, match=r'\(B, C, H, W\)'):
        upsampled_mean(torch.zeros(3, 3), (6, 6))
