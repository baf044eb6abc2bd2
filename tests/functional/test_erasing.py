import pytest
import torch
from torch.testing import assert_close

from wsss_mm.functional import (
    attention_mask,
    background_zone,
    c_relu,
    fuse_attention,
    max_views,
    ternary_mask,
)

GOLDEN = pytest.mark.parametrize(
    ('stem', 'high', 'low'),
    [('seenet_crelu_0.7_0.05', 0.7, 0.05), ('seenet_crelu_0.8_0', 0.8, 0.0)],
)


@pytest.fixture
def scores():
    return torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1)) + 0.2


@pytest.fixture
def features():
    return torch.randn(3, 7, 5, 6, generator=torch.Generator().manual_seed(2))


LABELS = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])


def attend_by_loops(scores, labels):
    """The definition, cell by cell."""
    batch, classes, height, width = scores.shape
    out = torch.zeros(batch, 1, height, width)
    for b in range(batch):
        for c in range(classes):
            if not labels[b, c]:
                continue
            clipped = [[max(v, 0.0) for v in row] for row in scores[b, c].tolist()]
            high = max(map(max, clipped))
            low = min(map(min, clipped))
            for y in range(height):
                for x in range(width):
                    value = (clipped[y][x] - low) / (high - low + 1e-8)
                    out[b, 0, y, x] = max(out[b, 0, y, x].item(), value)
    return out


class TestAttention:
    def test_it_follows_the_definition(self, scores):
        # One class without a cell at or below zero has a minimum to take away.
        scores[1, 3] = scores[1, 3].abs() + 0.5
        before = scores.clone()
        found = attention_mask(scores, LABELS)
        assert_close(found, attend_by_loops(scores, LABELS))
        assert torch.equal(scores, before)
        assert found[1].amin() == 0
        assert not found[2].any()

    def test_absent_classes_do_not_matter(self, scores):
        changed = scores.clone()
        changed[0, [1, 3]] += 100
        assert_close(
            attention_mask(changed[:1], LABELS[:1]),
            attention_mask(scores[:1], LABELS[:1]),
        )

    def test_a_batch_equals_its_images(self, scores):
        singles = [attention_mask(scores[[i]], LABELS[[i]]) for i in range(3)]
        assert torch.equal(attention_mask(scores, LABELS), torch.cat(singles))

    def test_a_flat_map_has_no_attention(self):
        flat = torch.full((1, 1, 2, 2), 3.0)
        assert not attention_mask(flat, torch.ones(1, 1)).any()

    def test_no_gradient_passes(self, scores):
        scores.requires_grad_()
        assert not attention_mask(scores, LABELS).requires_grad

    @pytest.mark.parametrize(
        ('shape', 'labels', 'message'),
        [
            ((4, 5, 6), (3, 4), r'scores must have the shape \(B, C, h, w\)'),
            ((3, 4, 0, 6), (3, 4), 'at least one channel and cell'),
            ((3, 4, 5, 6), (3, 5), r'labels must have the shape \(3, 4\)'),
        ],
    )
    def test_bad_shapes_are_refused(self, shape, labels, message):
        with pytest.raises(ValueError, match=message):
            attention_mask(torch.zeros(shape), torch.zeros(labels))


class TestCReLU:
    @GOLDEN
    def test_forward_equals_the_released_layer(self, golden, stem, high, low):
        recorded = {key: torch.as_tensor(v) for key, v in golden(stem).items()}
        attention = attention_mask(recorded['score'], recorded['label'][:, 0, 0])
        found = c_relu(recorded['feat'], attention, high=high, low=low)
        assert torch.equal(found, recorded['out'])
        factors = ternary_mask(attention, high=high, low=low)
        assert (factors == 0).sum() == recorded['n_erased'] > 0
        assert (factors == -1).sum() == recorded['n_neg']

    @GOLDEN
    def test_backward_follows_the_definition(self, golden, stem, high, low):
        recorded = {key: torch.as_tensor(v) for key, v in golden(stem).items()}
        score = recorded['score'].requires_grad_()
        features = recorded['feat'].requires_grad_()
        attention = attention_mask(score, recorded['label'][:, 0, 0])
        out = c_relu(features, attention, high=high, low=low)
        out.backward(recorded['top_diff'])
        # The released layer is right where nothing is erased, and in channel 0.
        erased = (attention > high)[0, 0]
        theirs, ours = recorded['bottom_diff'][0], features.grad[0]
        assert torch.equal(ours[:, ~erased], theirs[:, ~erased])
        assert torch.equal(ours[0], theirs[0])
        assert not ours[:, erased].any()
        assert theirs[1:, erased].any()
        assert score.grad is None

    def test_zones_by_hand(self):
        attention = torch.tensor([[[[0.0, 0.04, 0.05], [0.5, 0.7, 0.71]]]])
        features = torch.tensor([[[[1.0, 2, 3], [4, 5, 6]], [[-1, 0, 1], [2, 3, 4]]]])
        features.requires_grad_()
        out = c_relu(features, attention, high=0.7, low=0.05)
        expected = [[[[-1, -2, 3], [4, 5, 0]], [[1, 0, 1], [2, 3, 0]]]]
        assert out.tolist() == expected
        upstream = torch.tensor([[[[1.0, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 2, 3]]]])
        out.backward(upstream)
        expected = [[[[-1, -2, 3], [4, 5, 0]], [[-7, -8, 9], [1, 2, 0]]]]
        assert features.grad.tolist() == expected

    def test_gradcheck_away_from_the_thresholds(self, features):
        attention = torch.linspace(0.013, 0.987, 90).view(3, 1, 5, 6).double()
        margin = [abs(attention - t).min() for t in (0.05, 0.7)]
        assert min(margin) > 1e-3
        wide = features.double().requires_grad_()

        def forward(x):
            return c_relu(x, attention, high=0.7, low=0.05)

        assert torch.autograd.gradcheck(forward, (wide,))
        assert set(ternary_mask(attention, high=0.7, low=0.05).unique().tolist()) == {
            *(-1.0, 0.0, 1.0)
        }

    def test_a_batch_equals_its_images(self, scores, features):
        attention = attention_mask(scores, LABELS)
        singles = [
            c_relu(features[[i]], attention[[i]], high=0.7, low=0.05) for i in range(3)
        ]
        together = c_relu(features, attention, high=0.7, low=0.05)
        assert torch.equal(together, torch.cat(singles))

    def test_no_gradient_reaches_the_attention(self, features):
        attention = torch.rand(3, 1, 5, 6).requires_grad_()
        features.requires_grad_()
        c_relu(features, attention, high=0.7, low=0.05).sum().backward()
        background_zone(features, attention, threshold=0.375).sum().backward()
        assert attention.grad is None

    def test_inputs_are_left_alone(self, features):
        attention = torch.rand(3, 1, 5, 6)
        copies = features.clone(), attention.clone()
        c_relu(features, attention, high=0.7, low=0.05)
        background_zone(features, attention, threshold=0.375)
        assert torch.equal(features, copies[0])
        assert torch.equal(attention, copies[1])

    @pytest.mark.parametrize('pair', [(0.05, 0.7), (1.1, 0.0), (0.7, -0.1)])
    def test_bad_thresholds_are_refused(self, pair):
        with pytest.raises(ValueError, match='0 <= low <= high <= 1'):
            ternary_mask(torch.zeros(1, 1, 2, 2), high=pair[0], low=pair[1])

    @pytest.mark.parametrize('shape', [(3, 1, 5, 5), (3, 4, 5, 6), (1, 1, 5, 6)])
    def test_another_grid_is_refused(self, features, shape):
        with pytest.raises(ValueError, match='features must have the shape'):
            c_relu(features, torch.zeros(shape), high=0.7, low=0.05)
        with pytest.raises(ValueError, match='features must have the shape'):
            background_zone(features, torch.zeros(shape), threshold=0.375)


class TestBackgroundZone:
    def test_only_what_is_below_the_threshold_stays(self):
        attention = torch.tensor([[[[0.0, 0.374, 0.375, 1.0]]]])
        features = torch.tensor([[[[1.0, 2, 3, 4]], [[-5, 6, 7, 8]]]])
        features.requires_grad_()
        out = background_zone(features, attention, threshold=0.375)
        assert out.tolist() == [[[[1, 2, 0, 0]], [[-5, 6, 0, 0]]]]
        out.sum().backward()
        assert features.grad.tolist() == [[[[1, 1, 0, 0]], [[1, 1, 0, 0]]]]

    def test_it_never_keeps_what_c_relu_erases(self, scores, features):
        attention = attention_mask(scores, LABELS)
        kept = background_zone(features, attention, threshold=0.375).abs().sum(dim=1)
        erased = c_relu(features, attention, high=0.7, low=0.05).abs().sum(dim=1) == 0
        assert erased.any()
        assert not kept[erased].any()


class TestFusion:
    def test_by_hand(self):
        one = torch.tensor([[[2.0, 4.0], [-1.0, 1.0]], [[-1.0, -2], [-3, -4]]])
        two = torch.tensor([[[0.0, 1.0], [5.0, 0.0]], [[0.0, 0.5], [0.25, 0]]])
        expected = torch.tensor([[[0.5, 1.0], [1.0, 0.25]], [[0.0, 1], [0.5, 0]]])
        copies = one.clone(), two.clone()
        assert_close(fuse_attention([one, two]), expected)
        assert torch.equal(one, copies[0])
        assert torch.equal(two, copies[1])

    def test_scale_and_order_do_not_matter(self, scores):
        other = scores.roll(1, dims=0)
        found = fuse_attention([scores, other])
        assert_close(fuse_attention([other * 3, scores / 7]), found)

    def test_views(self):
        one, two = torch.tensor([[[[1.0, 5]]], [[[2, 3]]]])
        assert max_views([one, two]).tolist() == [[[2, 5]]]

    @pytest.mark.parametrize('fuse', [fuse_attention, max_views])
    def test_bad_stacks_are_refused(self, fuse):
        with pytest.raises(ValueError, match='at least one view, got none'):
            fuse([])
        with pytest.raises(ValueError, match=r'one shape \(C, H, W\), got \[\(1, 2'):
            fuse([torch.zeros(1, 2, 2), torch.zeros(1, 2, 3)])

    def test_maps_without_pixels_are_refused(self):
        with pytest.raises(ValueError, match='at least one pixel'):
            fuse_attention([torch.zeros(1, 0, 2)])
