import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch.testing import assert_close

from wsss_mm.functional import (
    EquivariantTransform,
    competing_cam,
    equivariant_cross_loss,
    pixel_correlation,
    training_min_max_norm,
    with_background,
)
from wsss_mm.models.structures import View
from wsss_mm.models.testing import losses_on, predicted_maps
from wsss_mm.registry import MODELS

LABELS = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
NAMES = ('loss_cls', 'loss_min_pool', 'loss_er', 'loss_ecr')


def build(**settings):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='SEAMHead', in_channels=6, num_classes=4, dropout_ratio=0.0)
        | settings
    )
    head.init_weights()
    return head


@pytest.fixture
def samples(make_sample):
    return [make_sample(labels.tolist()) for labels in LABELS]


def make_features(size, seed):
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randn(2, 6, *size, generator=g).requires_grad_(),
        torch.randn(2, 5, *size, generator=g).requires_grad_(),
    )


@pytest.fixture
def features():
    """Feature map and embedding of both views."""
    return {'full': make_features((6, 8), 1), 'transformed': make_features((3, 4), 2)}


@pytest.fixture
def views():
    """Both views of a batch of 24 x 32 images, the second at half size."""
    move = EquivariantTransform(scale=0.5)
    image = torch.zeros(2, 3, 24, 32)
    return {
        'full': View(image, lambda cam: cam),
        'transformed': View(move(image), move),
    }


def enlarge(maps, size):
    return F.interpolate(maps, size, mode='bilinear', align_corners=True)


def test_the_losses_are_the_published_formulas(features, views, samples):
    head = build()
    found = losses_on(head, features, views, samples)
    present = LABELS[:, :, None, None]
    every = torch.cat([torch.ones(2, 1, 1, 1), present], dim=1)
    cls, low, cam, rv = [], [], {}, {}
    for name, size in (('full', (24, 32)), ('transformed', (12, 16))):
        raw = torch.einsum(
            'kc,bchw->bkhw', head.classifier.weight[:, :, 0, 0], features[name][0]
        )
        large = enlarge(raw, size)
        logits = large[:, 1:].mean(dim=(2, 3))
        cls.append(F.binary_cross_entropy_with_logits(logits, LABELS))
        refined = enlarge(
            pixel_correlation(competing_cam(raw), features[name][1]), size
        )
        strongest = (refined[:, 1:] * present).amax(dim=1).flatten(1)
        quarter = strongest.sort(dim=1).values[:, : strongest.shape[1] // 4]
        low.append(quarter.clamp(min=0).mean())
        cam[name], rv[name] = (
            training_min_max_norm(large[:, 1:]),
            training_min_max_norm(refined),
        )
    cam['full'] = enlarge(cam['full'], (12, 16))
    rv['full'] = enlarge(rv['full'], (12, 16))
    assert_close(found['loss_cls'], (cls[0] + cls[1]) / 2)
    assert_close(found['loss_min_pool'], (low[0] + low[1]) / 2)
    cam = {name: value * present for name, value in cam.items()}
    rv = {name: value * every for name, value in rv.items()}
    difference = (cam['full'] - cam['transformed']).abs()
    assert_close(found['loss_er'], difference.sum() / difference.numel())
    expected = sum(
        equivariant_cross_loss(rv[a], with_background(cam[b]))
        for a, b in (('full', 'transformed'), ('transformed', 'full'))
    )
    assert_close(found['loss_ecr'], expected)


def test_exactly_these_losses_are_summed(features, views, samples):
    losses = losses_on(build(), features, views, samples)
    assert tuple(losses) == NAMES
    total, _ = BaseModel.parse_losses(None, losses)
    assert_close(total, sum(losses[name] for name in NAMES))


@pytest.mark.parametrize(
    ('weight', 'name'),
    [
        ('er_weight', 'loss_er'),
        ('ecr_weight', 'loss_ecr'),
        ('min_pool_weight', 'loss_min_pool'),
    ],
)
def test_each_weight_scales_its_own_loss(features, views, samples, weight, name):
    plain = losses_on(build(), features, views, samples)
    weighted = losses_on(build(**{weight: 3.0}), features, views, samples)
    for key in NAMES:
        assert plain[key] > 0
        assert_close(weighted[key], plain[key] * (3 if key == name else 1))


def test_a_smaller_share_of_the_differences_is_a_larger_loss(features, views, samples):
    fifth = losses_on(build(ecr_ratio=0.2), features, views, samples)['loss_ecr']
    every = losses_on(build(ecr_ratio=1.0), features, views, samples)['loss_ecr']
    assert fifth > every > 0


class TestGradientRoutes:
    @pytest.fixture
    def reached(self, features, views, samples):
        """Give the gradient of one loss at every input it could reach."""
        head = build()
        losses = losses_on(head, features, views, samples)
        ends = {
            'classifier': head.classifier.weight,
            'full': features['full'][0],
            'transformed': features['transformed'][0],
            'embedding of full': features['full'][1],
            'embedding of transformed': features['transformed'][1],
        }

        def give(name):
            found = torch.autograd.grad(
                losses[name], list(ends.values()), retain_graph=True, allow_unused=True
            )
            return {k: v for k, v in zip(ends, found) if v is not None and v.any()}

        return give

    @pytest.mark.parametrize('name', ['loss_cls', 'loss_er'])
    def test_of_the_plain_cam(self, reached, name):
        assert set(reached(name)) == {'classifier', 'full', 'transformed'}

    @pytest.mark.parametrize('name', ['loss_ecr', 'loss_min_pool'])
    def test_of_the_refined_cam(self, reached, name):
        """The target is detached, and so is the CAM that is propagated."""
        assert set(reached(name)) == {'embedding of full', 'embedding of transformed'}

    def test_the_background_channel_is_never_trained(self, reached):
        for name in ('loss_cls', 'loss_er'):
            gradient = reached(name)['classifier']
            assert not gradient[0].any()
            assert gradient[1:].flatten(1).any(dim=1).all()


def test_absent_classes_are_not_tied(features, views, make_sample):
    head = build()
    only_first = [make_sample([1, 0, 0]), make_sample([1, 0, 0])]
    loss = losses_on(head, features, views, only_first)['loss_er']
    (gradient,) = torch.autograd.grad(loss, head.classifier.weight)
    assert gradient[1].any()
    assert not gradient[2:].any()


def test_an_equivariant_network_pays_nothing(samples):
    """Mirroring both image and features leaves no difference to punish."""
    mirror = EquivariantTransform(scale=1.0, flip=True)
    image = torch.randn(2, 3, 24, 32)
    feature, embedding = make_features((6, 8), 1)
    features = {
        'full': (feature, embedding),
        'transformed': (feature.flip(-1), embedding.flip(-1)),
    }
    views = {
        'full': View(image, lambda cam: cam),
        'transformed': View(mirror(image), mirror),
    }
    assert losses_on(build(), features, views, samples)['loss_er'] < 1e-6
    unaware = {**views, 'transformed': View(mirror(image), lambda cam: cam)}
    assert losses_on(build(), features, unaware, samples)['loss_er'] > 0.05


def test_it_trains(features, views, samples):
    head = build()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.05)
    totals = []
    for _ in range(5):
        total, _ = BaseModel.parse_losses(
            None, losses_on(head, features, views, samples)
        )
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < totals[0]


def test_prediction_is_the_refined_foreground(features):
    head = build()
    cam, scores = predicted_maps(head, features['full'], (24, 32))
    raw = head(features['full'])
    refined = pixel_correlation(competing_cam(raw), features['full'][1])
    assert_close(cam, enlarge(refined, (24, 32))[:, 1:])
    assert_close(scores, raw[:, 1:].mean(dim=(2, 3)))
    assert cam.shape == (2, 3, 24, 32)


def test_the_background_channel_does_not_matter(features):
    head = build()
    before = predicted_maps(head, features['full'], (24, 32))
    with torch.no_grad():
        head.classifier.weight[0] += 100
    after = predicted_maps(head, features['full'], (24, 32))
    assert all(torch.equal(a, b) for a, b in zip(before, after))


def test_inputs_are_left_alone(features, views, samples):
    tensors = [x for pair in features.values() for x in pair]
    before = [x.detach().clone() for x in tensors]
    losses_on(build(), features, views, samples)
    assert all(torch.equal(x, b) for x, b in zip(tensors, before))
    assert torch.equal(torch.stack([s.image_labels for s in samples]), LABELS)


def test_other_class_counts_are_refused(features, views, make_sample):
    samples = [make_sample([1, 0]), make_sample([0, 1])]
    with pytest.raises(ValueError, match=r'pond\.jpg: tags over 2 .*num_classes=4'):
        losses_on(build(), features, views, samples)


def test_the_classifier_of_a_plain_cam_head_loads():
    plain = MODELS.build(dict(type='CAMHead', in_channels=6, num_classes=4))
    head = build()
    weights = plain.state_dict()
    head.load_state_dict(weights)
    assert torch.equal(head.classifier.weight[1:], plain.classifier.weight)
    assert not head.classifier.weight[0].any()
    assert weights['classifier.weight'].shape == (3, 6, 1, 1)
    head.load_state_dict(build(num_classes=4).state_dict())
    with pytest.raises(RuntimeError, match='size mismatch'):
        head.load_state_dict(build(num_classes=6).state_dict())
