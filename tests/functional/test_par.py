import math
import statistics

import pytest
import torch
import torch.nn.functional as F

from wsss_mm.functional.par import par, par_weights


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 5, 6, generator=generator, dtype=torch.float64)
    scores = torch.rand(2, 4, 5, 6, generator=generator, dtype=torch.float64)
    return image, scores


def around(y, x, dilations, height, width):
    """Places of the neighbours, moved to the border where beyond it, and distances."""
    for d in dilations:
        for dy in (-d, 0, d):
            for dx in (-d, 0, d):
                if dy or dx:
                    place = (
                        min(max(y + dy, 0), height - 1),
                        min(max(x + dx, 0), width - 1),
                    )
                    yield place, math.sqrt(dy * dy + dx * dx)


def soft(values):
    powers = [math.exp(v - max(values)) for v in values]
    return [p / sum(powers) for p in powers]


def by_pixel(image, scores, dilations, iterations):
    """The definition, one pixel, channel and neighbour at a time."""
    _, height, width = image.shape
    for _ in range(iterations):
        out = torch.zeros_like(scores)
        for y in range(height):
            for x in range(width):
                places, distances = zip(*around(y, x, dilations, height, width))
                colour = [0.0] * len(places)
                for channel in image.tolist():
                    values = [channel[v][u] for v, u in places]
                    scale = (statistics.stdev(values) + 1e-8) * 0.3
                    for i, value in enumerate(values):
                        unit = (channel[y][x] - value) / scale
                        colour[i] -= unit * unit / len(image)
                scale = (statistics.stdev(distances) + 1e-8) * 0.3
                position = soft([-((d / scale) ** 2) for d in distances])
                for a, p, (v, u) in zip(soft(colour), position, places):
                    out[:, y, x] += (a + 0.01 * p) * scores[:, v, u]
        scores = out
    return scores


@pytest.mark.parametrize('dilations, iterations', [((1,), 1), ((1, 2, 8), 2)])
def test_equals_the_definition(inputs, dilations, iterations):
    out = par(*inputs, dilations=dilations, iterations=iterations)
    for one, image, scores in zip(out, *inputs):
        expected = by_pixel(image, scores, dilations, iterations)
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-12)


def test_golden(golden):
    vector = {k: torch.from_numpy(v) for k, v in golden('weclip_unit_par').items()}
    image, mask = vector['img'], vector['mask']
    for name, dilations, iterations in (
        ('out_it1', (1, 2, 4, 8, 12, 24), 1),
        ('out_it20', (1, 2, 4, 8, 12, 24), 20),
        ('out_it10_afa', (1, 2, 4, 8, 12, 24), 10),
        ('out_d12_it3', (1, 2), 3),
    ):
        found = par(image, mask, dilations=dilations, iterations=iterations)
        torch.testing.assert_close(found, vector[name], rtol=1e-4, atol=1e-5)
    # The reference brings the image to the size of the mask.
    small = F.interpolate(
        vector['img_small'], (20, 28), mode='bilinear', align_corners=True
    )
    found = par(small, mask[:1], iterations=20)
    expected = vector['out_small_img_it20']
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    flat = torch.full((1, 3, 6, 7), 0.5)
    found = par(flat, vector['mask_const'], iterations=1)
    expected = vector['out_const_img_it1']
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_are_of_like_colour_and_sum_to_a_hundredth_above_one():
    image = torch.zeros(1, 3, 4, 6)
    image[..., 3:] = 1
    weights = par_weights(image, dilations=(1, 2))
    torch.testing.assert_close(weights.sum(dim=1), torch.full((1, 4, 6), 1.01))
    assert weights.min() > 0
    scores = torch.zeros(1, 1, 4, 6)
    scores[..., 0] = 1  # spreads over the left half and hardly beyond
    out = par(image, scores)
    assert out[..., :3].min() > 0.1
    assert out[..., 3:].max() < 0.2 * out[..., :3].min()


def test_the_unit_of_the_image_does_not_matter(inputs):
    image, scores = inputs
    torch.testing.assert_close(
        par(image * 255 - 100, scores), par(image, scores), rtol=1e-5, atol=1e-7
    )


def test_constants_grow_by_a_hundredth_and_inputs_stay(inputs):
    image, scores = inputs
    before = image.clone(), scores.clone()
    found = par(image, scores * 0 + 2, iterations=3)
    torch.testing.assert_close(found, scores * 0 + 2 * 1.01**3)
    out = par(image, scores, iterations=3) / 1.01**3
    assert out.max() <= scores.max()
    assert out.min() >= scores.min()
    assert torch.equal(image, before[0])
    assert torch.equal(scores, before[1])


def test_no_iteration_and_an_image_smaller_than_the_reach():
    image, scores = torch.rand(1, 3, 1, 1), torch.rand(1, 2, 1, 1)
    torch.testing.assert_close(par(image, scores, iterations=0), scores)
    torch.testing.assert_close(par(image, scores, iterations=2), scores * 1.01**2)


def test_gradients(inputs):
    image, scores = (x[:1, :2, :3, :3].clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(
        lambda i, s: par(i, s, dilations=(1, 2), iterations=2), (image, scores)
    )


@pytest.mark.gpu
def test_a_gpu_gives_the_same(inputs):
    image, scores = (x.float() for x in inputs)
    found = par(image.cuda(), scores.cuda(), iterations=20).cpu()
    expected = par(image, scores, iterations=20)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_bad_input_is_refused(inputs):
    image, scores = inputs
    with pytest.raises(ValueError, match='agree in batch, size and device'):
        par(image, scores[..., :-1])
    with pytest.raises(ValueError, match='must be floating point, got torch'):
        par(image.to(torch.uint8), scores)
    with pytest.raises(ValueError, match=r'dilations must be positive .* got \[0, 1\]'):
        par(image, scores, dilations=(0, 1))
    with pytest.raises(ValueError, match='iterations not negative'):
        par(image, scores, iterations=-1)
