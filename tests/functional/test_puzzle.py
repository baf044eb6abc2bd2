import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from wsss_mm.functional import (
    merge_tiles,
    reconstruction_loss,
    reconstruction_weight,
    tag_entropy,
    tag_loss,
    tile_image,
    training_max_norm,
)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class TestTiles:
    @pytest.mark.parametrize('side', [1, 2, 3])
    def test_order_is_row_by_row_and_pieces_first(self, side):
        images, height, width = draw(2, 3, 6 * side, 4 * side), 6, 4
        tiles = tile_image(images, side * side)
        for piece in range(side * side):
            y, x = piece // side * height, piece % side * width
            for image in range(2):
                expected = images[image, :, y : y + height, x : x + width]
                assert torch.equal(tiles[piece * 2 + image], expected)

    @pytest.mark.parametrize('side', [1, 2, 3])
    def test_merging_undoes_it(self, side):
        images = draw(2, 3, 6 * side, 4 * side)
        before = images.clone()
        assert torch.equal(merge_tiles(tile_image(images, side**2), side**2), images)
        assert torch.equal(images, before)

    def test_as_recorded(self, golden):
        recorded = {k: torch.from_numpy(v) for k, v in golden('puzzle_tile').items()}
        assert torch.equal(tile_image(recorded['x']), recorded['tiles'])
        assert torch.equal(merge_tiles(recorded['tiles']), recorded['merged'])

    def test_gradients_go_home(self):
        images = draw(1, 1, 4, 4).requires_grad_()
        weights = draw(4, 1, 2, 2, seed=1)
        (tile_image(images) * weights).sum().backward()
        assert torch.equal(images.grad, merge_tiles(weights))

    @pytest.mark.parametrize('pieces', [0, -4, 2, 6])
    def test_pieces_are_a_square(self, pieces):
        with pytest.raises(ValueError, match=f'square number .* got {pieces}'):
            tile_image(draw(1, 1, 12, 12), pieces)

    def test_sides_that_do_not_divide(self):
        with pytest.raises(ValueError, match='3 divides'):
            tile_image(draw(1, 1, 9, 10), 9)

    def test_a_batch_that_lacks_pieces(self):
        with pytest.raises(ValueError, match=r'\(4 B, C, h, w\), got \(6,'):
            merge_tiles(draw(6, 1, 2, 2))


class TestReconstruction:
    @pytest.mark.parametrize('masking', ['tags', 'none', 'selection'])
    @pytest.mark.parametrize('distance', ['l1', 'l2'])
    def test_by_loops(self, masking, distance):
        cam, merged = draw(3, 4, 2, 5), draw(3, 4, 2, 5, seed=1)
        labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0]])
        per_image = []
        for b in range(3):
            costs = []
            for c in range(4):
                cost = 0.0
                for y in range(2):
                    for x in range(5):
                        gap = abs(float(cam[b, c, y, x] - merged[b, c, y, x]))
                        cost += (gap if distance == 'l1' else gap * gap) / 10
                if masking == 'none' or labels[b, c]:
                    costs.append(cost)
                elif masking == 'tags':
                    costs.append(0.0)
            per_image.append(sum(costs) / len(costs))
        found = reconstruction_loss(
            cam, merged, labels, masking=masking, distance=distance
        )
        assert found.item() == pytest.approx(sum(per_image) / 3)

    def test_both_sides_learn(self):
        labels = torch.tensor([[1.0, 0]])
        cam, merged = draw(1, 2, 2, 2), draw(1, 2, 2, 2, seed=1)
        for masking in ('tags', 'none', 'selection'):
            assert gradcheck(
                lambda a, b, m=masking: reconstruction_loss(a, b, labels, masking=m),
                (cam.requires_grad_(), merged.requires_grad_()),
            )
        reconstruction_loss(cam, merged, labels).backward()
        assert cam.grad[:, 0].all()
        assert merged.grad[:, 0].all()
        assert not cam.grad[:, 1].any()

    def test_no_tags_cost_nothing(self):
        cam = draw(1, 2, 2, 2)
        for masking in ('tags', 'selection'):
            loss = reconstruction_loss(cam, cam + 1, torch.zeros(1, 2), masking=masking)
            assert loss == 0

    def test_refusals(self):
        cam, tags = draw(1, 2, 2, 2), torch.ones(1, 2)
        with pytest.raises(ValueError, match='share one shape'):
            reconstruction_loss(cam, cam[..., :1], tags)
        with pytest.raises(ValueError, match='labels be'):
            reconstruction_loss(cam, cam, tags[:, :1])
        with pytest.raises(ValueError, match="'all'"):
            reconstruction_loss(cam, cam, tags, masking='all')
        with pytest.raises(ValueError, match="'l3'"):
            reconstruction_loss(cam, cam, tags, distance='l3')


class TestPeakNorm:
    def test_by_definition_and_leaves_its_input_alone(self):
        cam = draw(2, 3, 4, 5)
        before = cam.clone()
        found = training_max_norm(cam)
        for b in range(2):
            for c in range(3):
                peak = max(0.0, cam[b, c].max().item())
                for y in range(4):
                    for x in range(5):
                        value = max(max(cam[b, c, y, x].item(), 0) - 1e-5, 0)
                        expected = value / (peak + 1e-5)
                        assert found[b, c, y, x].item() == pytest.approx(expected)
        assert torch.equal(cam, before)

    def test_as_recorded(self, golden):
        recorded = golden('puzzle_make_cam')
        found = training_max_norm(torch.from_numpy(recorded['x']))
        assert_close(found, torch.from_numpy(recorded['y']), rtol=1e-4, atol=1e-6)

    def test_gradient_flows_through_the_peak_too(self):
        cam = draw(1, 2, 2, 3).requires_grad_()
        assert gradcheck(training_max_norm, (cam,))

    def test_refusal(self):
        with pytest.raises(ValueError, match=r'\(B, C, H, W\)'):
            training_max_norm(draw(2, 3, 4))


class TestEntropy:
    def test_by_loops(self):
        logits = draw(3, 4)
        total = 0.0
        for row in logits.tolist():
            for value in row:
                score = 1 / (1 + math.exp(-value))
                total -= score * math.log(score + 1e-5) / 3
        assert tag_entropy(logits).item() == pytest.approx(total)
        assert gradcheck(tag_entropy, (logits.requires_grad_(),))

    def test_refusal(self):
        with pytest.raises(ValueError, match=r'\(B, C\)'):
            tag_entropy(draw(1, 2, 1))


def test_losses_as_recorded(golden):
    recorded = {k: torch.from_numpy(v) for k, v in golden('puzzle_losses').items()}
    cam, merged, tags = (recorded[k] for k in ('features', 're_features', 'labels'))
    found = {
        'class_loss': tag_loss(cam.mean(dim=(2, 3)), tags),
        'p_class_loss': tag_loss(merged.mean(dim=(2, 3)), tags),
        're_loss': reconstruction_loss(cam, merged, tags),
        're_loss_none': reconstruction_loss(cam, merged, tags, masking='none'),
        'conf': tag_entropy(merged.mean(dim=(2, 3))),
    }
    for name, value in found.items():
        assert_close(value, recorded[name], rtol=1e-4, atol=0, msg=name)


class TestWeight:
    def test_as_recorded(self, golden):
        recorded = golden('puzzle_alpha')
        found = [reconstruction_weight(int(step), 4950) for step in recorded['it']]
        assert found == pytest.approx(recorded['alpha'].tolist())

    def test_no_ramp_is_a_constant(self):
        found = [reconstruction_weight(t, 10, maximum=3, ramp=0) for t in (0, 5, 10)]
        assert found == [3, 3, 3]

    @pytest.mark.parametrize(
        'wrong', [dict(ramp=1.5), dict(ramp=-0.1), dict(total=0), dict(step=-1)]
    )
    def test_refusals(self, wrong):
        settings = dict(step=0, total=10) | wrong
        with pytest.raises(ValueError, match='ramp must be in'):
            reconstruction_weight(**settings)
