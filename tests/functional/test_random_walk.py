"""The random walk equals powers of the dense transition matrix."""

import math

import pytest
import torch

from wsss_mm.functional.random_walk import (
    power_coefficients,
    random_walk,
    transition_matrix,
)

OFFSETS = [(0, 1), (0, 2), (1, -2), (1, -1), (1, 0), (1, 2), (2, 0)]


def draw(size=(6, 7), channels=3, *, batch=None, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lead = () if batch is None else (batch,)
    scores = torch.rand(*lead, channels, *size, generator=generator, dtype=dtype)
    affinity = torch.rand(*lead, len(OFFSETS), *size, generator=generator, dtype=dtype)
    return scores, affinity


def plain_matrix(affinity, offsets, beta):
    """The definition, pair by pair."""
    height, width = affinity.shape[-2:]
    matrix = torch.eye(height * width, dtype=affinity.dtype)
    for p, (dy, dx) in enumerate(offsets):
        for y in range(height):
            for x in range(width):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    i, j = y * width + x, (y + dy) * width + x + dx
                    matrix[i, j] = matrix[j, i] = affinity[p, y, x] ** beta
    return matrix / matrix.sum(dim=0, keepdim=True)


@pytest.mark.parametrize('steps', [0, 1, 2, 3, 16, 64, 255, 256])
def test_equals_the_power_of_the_plain_matrix(steps):
    scores, affinity = draw()
    matrix = plain_matrix(affinity, OFFSETS, beta=3)
    expected = scores.flatten(1) @ torch.linalg.matrix_power(matrix, steps)
    found = random_walk(scores, affinity, OFFSETS, beta=3, steps=steps, tolerance=1e-9)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-7, atol=1e-8)


def test_the_transition_matrix_is_the_plain_one():
    _, affinity = draw()
    affinity[:, 2:4] = 0
    found = transition_matrix(affinity, OFFSETS, beta=3)
    torch.testing.assert_close(found, plain_matrix(affinity, OFFSETS, beta=3))


@pytest.mark.parametrize('offsets', [[(0, -1), (-1, 0)], [(0, 1), (1, 0)]])
def test_a_pair_may_be_named_from_either_end(offsets):
    scores, affinity = draw()
    affinity = affinity[:2]
    matrix = plain_matrix(affinity, offsets, beta=2)
    expected = scores.flatten(1) @ torch.linalg.matrix_power(matrix, 8)
    found = random_walk(scores, affinity, offsets, beta=2, steps=8)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('tolerance', [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize('steps', [64, 256])
def test_the_error_stays_within_its_bound(steps, tolerance):
    # Two cells that swap their scores have the eigenvalue -1 + small: the hardest.
    scores, affinity = draw()
    matrix = plain_matrix(affinity, OFFSETS, beta=1)
    degree = 1 / matrix.diagonal()
    exact = scores.flatten(1) @ torch.linalg.matrix_power(matrix, steps)
    found = random_walk(
        scores, affinity, OFFSETS, beta=1, steps=steps, tolerance=tolerance
    )
    error = ((found.flatten(1) - exact) * degree.sqrt()).norm(dim=1)
    assert (error <= tolerance * (scores.flatten(1) * degree.sqrt()).norm(dim=1)).all()
    # The bound is not idle: a looser tolerance does cut more off.
    assert len(power_coefficients(steps, tolerance)) < steps + 1


@pytest.mark.parametrize('steps', [0, 1, 2, 7, 64, 256])
def test_coefficients_are_those_of_the_power(steps):
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)
    polynomials = [torch.ones_like(x), x]
    for _ in range(steps):
        polynomials.append(2 * x * polynomials[-1] - polynomials[-2])
    for tolerance in (1e-3, 1e-12):
        coefficients = power_coefficients(steps, tolerance)
        value = sum(c * t for c, t in zip(coefficients, polynomials))
        assert (value - x**steps).abs().max() < max(tolerance, 1e-11)


def test_a_long_walk_needs_few_products():
    assert 60 < len(power_coefficients(256, 1e-6)) < 85
    assert 120 < len(power_coefficients(1024, 1e-6)) < 170


@pytest.mark.parametrize('beta', [1, 8, 40])
def test_float32_is_as_exact_as_squaring_in_float32(beta):
    # From one cluster to cells that hardly let go of their scores.
    scores, affinity = draw((12, 15), dtype=torch.float32)
    matrix = transition_matrix(affinity.double(), OFFSETS, beta=beta)
    exact = scores.double().flatten(1) @ torch.linalg.matrix_power(matrix, 256)
    squared = transition_matrix(affinity, OFFSETS, beta=beta)
    for _ in range(8):
        squared = squared @ squared
    found = random_walk(scores, affinity, OFFSETS, beta=beta, steps=256).flatten(1)
    error = (found - exact).abs().max()
    assert error <= 1e-5 * exact.abs().max()
    assert error <= 2 * (scores.flatten(1) @ squared - exact).abs().max()


def test_it_conserves_the_sum_and_rests_on_the_degrees():
    scores, affinity = draw()
    found = random_walk(scores, affinity, OFFSETS, beta=2, steps=256, tolerance=1e-9)
    # T = A / d has columns that sum to one, and T d = d.
    degree = 1 / plain_matrix(affinity, OFFSETS, beta=2).diagonal()
    resting = torch.ones_like(scores[:1])
    still = random_walk(resting, affinity, OFFSETS, beta=2, steps=256, tolerance=1e-9)
    torch.testing.assert_close(still, resting, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(
        (found.flatten(1) * degree).sum(dim=1),
        (scores.flatten(1) * degree).sum(dim=1),
    )
    assert found.flatten(1).std(dim=1).max() < 0.01


def test_mirrored_inputs_give_the_mirrored_result():
    scores, affinity = draw()
    affinity[:] = 0.5
    plain = random_walk(scores, affinity, OFFSETS, beta=2, steps=16)
    mirrored = random_walk(
        scores.flip(-1), affinity, [(dy, -dx) for dy, dx in OFFSETS], beta=2, steps=16
    )
    torch.testing.assert_close(mirrored.flip(-1), plain)


def test_lonely_cells_keep_their_scores():
    scores, affinity = draw()
    found = random_walk(
        scores, torch.zeros_like(affinity), OFFSETS, beta=8, steps=256, tolerance=1e-9
    )
    torch.testing.assert_close(found, scores)
    empty = random_walk(torch.zeros_like(scores), affinity, OFFSETS, beta=8, steps=256)
    assert (empty == 0).all()


def test_a_batch_is_its_images_and_inputs_stay():
    scores, affinity = draw(batch=2)
    kept = scores.clone(), affinity.clone()
    both = random_walk(scores, affinity, OFFSETS, beta=8, steps=64)
    for i in range(2):
        one = random_walk(scores[i], affinity[i], OFFSETS, beta=8, steps=64)
        torch.testing.assert_close(both[i], one)
    assert torch.equal(scores, kept[0])
    assert torch.equal(affinity, kept[1])


def test_half_precision_is_computed_in_single():
    scores, affinity = draw(dtype=torch.float32)
    half = random_walk(scores.half(), affinity.half(), OFFSETS, beta=8, steps=256)
    assert half.dtype == torch.float16
    whole = random_walk(
        scores.half().float(), affinity.half().float(), OFFSETS, beta=8, steps=256
    )
    torch.testing.assert_close(half, whole.half())


def test_bad_input_is_refused():
    scores, affinity = draw()
    walk = dict(beta=8, steps=4)
    with pytest.raises(ValueError, match='P = 6 offsets'):
        random_walk(scores, affinity, OFFSETS[1:], **walk)
    with pytest.raises(ValueError, match='agree in batch and size'):
        random_walk(scores[:, 1:], affinity, OFFSETS, **walk)
    with pytest.raises(ValueError, match='agree in batch and size'):
        random_walk(scores[None], affinity, OFFSETS, **walk)
    with pytest.raises(ValueError, match='floating point'):
        random_walk(scores.long(), affinity, OFFSETS, **walk)
    for wrong in (-0.1, math.nan, math.inf):
        bad = affinity.clone()
        bad[0, 0, 0] = wrong
        with pytest.raises(ValueError, match='finite and not negative'):
            random_walk(scores, bad, OFFSETS, **walk)
    with pytest.raises(ValueError, match='occur once'):
        random_walk(scores, affinity, [(0, -1), *OFFSETS[:-1]], **walk)
    with pytest.raises(ValueError, match='beta must be a positive'):
        random_walk(scores, affinity, OFFSETS, beta=0, steps=4)
    with pytest.raises(ValueError, match='steps must not be negative'):
        random_walk(scores, affinity, OFFSETS, beta=8, steps=-1)
