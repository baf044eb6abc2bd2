import math

import pytest
import torch

from wsss_mm.functional.pamr import DILATIONS, local_affinity, pamr


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 5, 6, generator=generator, dtype=torch.float64)
    scores = torch.rand(2, 4, 5, 6, generator=generator, dtype=torch.float64)
    return image, scores


def around(y, x, dilation, height, width):
    """The eight neighbours, moved to the border where they lie beyond it."""
    for dy in (-dilation, 0, dilation):
        for dx in (-dilation, 0, dilation):
            if dy or dx:
                yield min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)


def by_pixel(image, scores, dilations, iterations):
    """The paper's definition, one pixel, channel and neighbour at a time."""
    _, height, width = image.shape
    for _ in range(iterations):
        out = torch.zeros_like(scores)
        for y in range(height):
            for x in range(width):
                places = [p for d in dilations for p in around(y, x, d, height, width)]
                distance = [0.0] * len(places)
                for channel in image.tolist():
                    values = [channel[v][u] for v, u in places]
                    every = values + [channel[y][x]] * len(dilations)
                    mean = sum(every) / len(every)
                    square = sum((v - mean) ** 2 for v in every) / (len(every) - 1)
                    scale = 1e-8 + 0.1 * math.sqrt(square)
                    for i, value in enumerate(values):
                        distance[i] += abs(channel[y][x] - value) / scale / len(image)
                weights = [math.exp(-d) for d in distance]
                for weight, (v, u) in zip(weights, places):
                    out[:, y, x] += weight / sum(weights) * scores[:, v, u]
        scores = out
    return scores


@pytest.mark.parametrize('dilations, iterations', [((1,), 1), ((1, 2, 8), 2)])
def test_equals_the_definition(inputs, dilations, iterations):
    out = pamr(*inputs, dilations=dilations, iterations=iterations)
    for one, image, scores in zip(out, *inputs):
        expected = by_pixel(image, scores, dilations, iterations)
        torch.testing.assert_close(one, expected, rtol=1e-9, atol=1e-12)


def test_weights_are_of_like_colour():
    image = torch.zeros(1, 3, 4, 6)
    image[..., 3:] = 1
    weights = local_affinity(image, dilations=(1, 2))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1, 4, 6))
    scores = torch.zeros(1, 1, 4, 6)
    scores[..., 0] = 1  # spreads over the left half and not beyond
    out = pamr(image, scores)
    assert out[..., :3].min() > 0.1
    assert out[..., 3:].max() < 0.1 * out[..., :3].min()


def test_the_unit_of_the_image_does_not_matter(inputs):
    image, scores = inputs
    torch.testing.assert_close(
        pamr(image * 255 - 100, scores), pamr(image, scores), rtol=1e-5, atol=1e-7
    )


def test_a_flat_image_gives_the_plain_mean():
    scores = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    out = pamr(torch.full((1, 3, 3, 3), 0.3), scores, dilations=(1,), iterations=1)
    middle = (scores.sum(dim=(2, 3)) - scores[..., 1, 1]) / 8
    torch.testing.assert_close(out[..., 1, 1], middle)


def test_scores_stay_between_their_extremes_and_constants_stay(inputs):
    image, scores = inputs
    before = image.clone(), scores.clone()
    out = pamr(image, scores)
    assert out.max() <= scores.max()
    assert out.min() >= scores.min()
    torch.testing.assert_close(pamr(image, scores * 0 + 2), scores * 0 + 2)
    assert torch.equal(image, before[0])
    assert torch.equal(scores, before[1])


def test_an_image_smaller_than_the_reach():
    image, scores = torch.rand(1, 3, 1, 1), torch.rand(1, 2, 1, 1)
    torch.testing.assert_close(pamr(image, scores), scores)
    assert max(DILATIONS) == 24


def test_gradients(inputs):
    image, scores = (x[:1, :2, :3, :3].clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(
        lambda i, s: pamr(i, s, dilations=(1, 2), iterations=2), (image, scores)
    )


def test_bad_input_is_refused(inputs):
    image, scores = inputs
    with pytest.raises(ValueError, match='agree in batch, size and device'):
        pamr(image, scores[..., :-1])
    with pytest.raises(ValueError, match=r'image must have the shape \(B, 3, H, W\)'):
        pamr(image[0], scores)
    with pytest.raises(ValueError, match='must be floating point, got torch'):
        pamr(image.to(torch.uint8), scores)
    with pytest.raises(ValueError, match=r'dilations must be positive .* got \[0, 1\]'):
        pamr(image, scores, dilations=(0, 1))
