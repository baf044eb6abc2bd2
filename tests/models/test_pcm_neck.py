import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from wsss_mm.models.necks import PCMNeck
from wsss_mm.registry import MODELS


@pytest.fixture
def neck():
    torch.manual_seed(0)
    neck = MODELS.build(
        dict(
            type='PCMNeck',
            in_channels=(5, 6),
            in_indices=(1, 2),
            mid_channels=(3, 4),
            out_channels=7,
        )
    )
    neck.init_weights()
    return neck


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    features = (
        torch.randn(2, 2, 12, 16, requires_grad=True),
        torch.randn(2, 5, 8, 10, requires_grad=True),
        torch.randn(2, 6, 4, 5, requires_grad=True),
        torch.randn(2, 9, 4, 5, requires_grad=True),
    )
    return features, torch.randn(2, 3, 32, 40)


def one_by_one(conv, maps):
    """A 1x1 convolution, as a matrix."""
    return torch.einsum('oc,bchw->bohw', conv.weight[:, :, 0, 0], maps)


def test_it_follows_its_definition(neck, inputs):
    features, image = inputs

    def shrink(maps):
        return F.interpolate(maps, (4, 5), mode='bilinear', align_corners=True)

    low = shrink(one_by_one(neck.f8_3, features[1]).relu())
    high = one_by_one(neck.f8_4, features[2]).relu()
    joined = torch.cat([shrink(image), low, high], dim=1)
    assert_close(neck(features, image)[-1], one_by_one(neck.f9, joined))


def test_the_features_stay_in_front(neck, inputs):
    features, image = inputs
    found = neck(features, image)
    assert len(found) == len(features) + 1
    assert all(a is b for a, b in zip(found, features))
    assert found[-1].shape == (2, neck.out_channels, 4, 5)


def test_features_of_the_last_size_are_not_resampled(neck, inputs):
    features, image = inputs
    small = F.interpolate(image, (4, 5), mode='bilinear', align_corners=True)
    low = F.interpolate(
        one_by_one(neck.f8_3, features[1]).relu(),
        (4, 5),
        mode='bilinear',
        align_corners=True,
    )
    high = one_by_one(neck.f8_4, features[2]).relu()
    joined = torch.cat([small, low, high], dim=1)
    assert_close(neck(features, small)[-1], one_by_one(neck.f9, joined))


def test_only_its_own_weights_learn(neck, inputs):
    features, image = inputs
    neck(features, image)[-1].square().sum().backward()
    assert all(feature.grad is None for feature in features)
    assert all(weight.grad.abs().sum() > 0 for weight in neck.parameters())


def test_other_features_are_handed_on_with_their_gradient(neck, inputs):
    features, image = inputs
    neck(features, image)[3].sum().backward()
    assert_close(features[3].grad, torch.ones_like(features[3]))


def test_it_trains(neck, inputs):
    features, image = inputs
    optimizer = torch.optim.SGD(neck.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        loss = (neck(features, image)[-1] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_it_leaves_its_inputs_alone(neck, inputs):
    features, image = inputs
    before = [x.detach().clone() for x in (*features, image)]
    neck(features, image)
    assert all(torch.equal(x, b) for x, b in zip((*features, image), before))


def test_the_reference_initialisation():
    torch.manual_seed(0)
    neck = PCMNeck(in_channels=(512, 1024))
    neck.init_weights()
    for conv in (neck.f8_3, neck.f8_4):
        expected = (2 / conv.in_channels) ** 0.5
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.02)
    bound = 4 * (6 / (195 + 192)) ** 0.5
    assert 0.99 * bound < neck.f9.weight.abs().max() <= bound
    assert all('bias' not in name for name, _ in neck.named_parameters())


def test_names_and_shapes_of_the_released_weights():
    found = {name: tuple(w.shape) for name, w in PCMNeck().state_dict().items()}
    assert found == {
        'f8_3.weight': (64, 512, 1, 1),
        'f8_4.weight': (128, 1024, 1, 1),
        'f9.weight': (192, 195, 1, 1),
    }
