import pytest
import torch
from mmengine.model import BaseModel
from mmseg.structures import SegDataSample
from torch.testing import assert_close

from wsss_mm.functional import tag_loss
from wsss_mm.models.decode_heads.cam_head import stack_image_labels
from wsss_mm.models.structures import View
from wsss_mm.models.testing import losses_on, predicted_maps
from wsss_mm.registry import MODELS

LABELS = torch.tensor([[1.0, 0, 1], [0, 1, 0]])


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='CAMHead', in_channels=6, num_classes=4, dropout_ratio=0.0)
    )
    head.init_weights()
    return head


@pytest.fixture
def features():
    torch.manual_seed(1)
    return (torch.randn(2, 3, 9, 9), torch.randn(2, 6, 4, 5, requires_grad=True))


@pytest.fixture
def samples(make_sample):
    return [make_sample(labels.tolist()) for labels in LABELS]


def lose(head, features, samples):
    views = {'full': View(torch.zeros(2, 3, 8, 10), lambda cam: cam)}
    return losses_on(head, {'full': features}, views, samples)


def test_the_cam_is_a_weighted_sum_of_channels(head, features):
    weight = head.classifier.weight[:, :, 0, 0]
    expected = torch.einsum('kc,bchw->bkhw', weight, features[-1])
    assert_close(head(features), expected)


def test_the_loss_is_that_of_mean_activations(head, features, samples):
    losses = lose(head, features, samples)
    assert list(losses) == ['loss_cls']
    logits = head(features).flatten(2).mean(-1)
    assert_close(losses['loss_cls'], tag_loss(logits, LABELS))
    # Written out: softplus(-x) for a tag, softplus(x) for none, mean over all.
    plain = [
        torch.nn.functional.softplus(-x if y else x)
        for x, y in zip(logits.flatten(), LABELS.flatten())
    ]
    assert_close(losses['loss_cls'], torch.stack(plain).mean())


def test_every_loss_is_summed(head, features, samples):
    losses = lose(head, features, samples)
    total, _ = BaseModel.parse_losses(None, losses)
    assert_close(total, sum(losses.values()))


def test_gradients_reach_classifier_and_features(head, features, samples):
    lose(head, features, samples)['loss_cls'].backward()
    assert head.classifier.weight.grad.abs().sum() > 0
    assert features[-1].grad.abs().sum() > 0


def test_it_trains(head, features, samples):
    optimizer = torch.optim.SGD(head.parameters(), lr=0.5)
    losses = []
    for _ in range(5):
        loss = lose(head, features, samples)['loss_cls']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_other_views_do_not_count(head, features, samples):
    views = {
        name: View(torch.zeros(2, 3, 8, 10), lambda cam: cam)
        for name in ('full', 'transformed')
    }
    both = {'full': features, 'transformed': (torch.full((2, 6, 2, 2), 50.0),)}
    assert_close(losses_on(head, both, views, samples), lose(head, features, samples))


def test_prediction_is_rectified_and_its_scores_are_not(head, features):
    cam, scores = predicted_maps(head, features, (8, 10))
    raw = head(features)
    assert (raw < 0).any()
    assert_close(cam, raw.clamp(min=0))
    assert_close(scores, raw.mean(dim=(2, 3)))


def test_which_feature_map_is_classified(features):
    head = MODELS.build(
        dict(type='CAMHead', in_channels=3, num_classes=4, in_index=0)
    ).eval()
    assert head(features).shape == (2, 3, 9, 9)


def test_dropout_only_in_training(features):
    torch.manual_seed(0)
    head = MODELS.build(dict(type='CAMHead', in_channels=6, num_classes=4))
    assert not torch.equal(head.train()(features), head(features))
    assert torch.equal(head.eval()(features), head(features))


def test_whole_channels_are_dropped(features):
    head = MODELS.build(
        dict(type='CAMHead', in_channels=6, num_classes=4, dropout_ratio=0.5)
    )
    torch.manual_seed(0)
    dropped = head.dropout(torch.ones(2, 6, 4, 5)).flatten(2)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped.amin(-1), dropped.amax(-1))


def test_the_classifier_has_no_bias_and_xavier_weights():
    torch.manual_seed(0)
    head = MODELS.build(dict(type='CAMHead', in_channels=512, num_classes=21))
    head.init_weights()
    assert head.classifier.bias is None
    assert head.classifier.weight.shape == (20, 512, 1, 1)
    bound = (6 / (512 + 20)) ** 0.5
    assert 0.99 * bound < head.classifier.weight.abs().max() <= bound


def test_tags_are_stacked_in_order(samples):
    assert torch.equal(stack_image_labels(samples, 3), LABELS)


def test_missing_tags_are_refused_with_the_file(samples):
    untagged = SegDataSample(metainfo=dict(img_path='lake.jpg'))
    with pytest.raises(ValueError, match=r'lake\.jpg: no image tags.*PackWSSSInputs'):
        stack_image_labels([samples[0], untagged], 3)


def test_another_class_count_is_refused_with_the_file(head, features, samples):
    head.num_classes = 6
    with pytest.raises(
        ValueError, match=r'pond\.jpg: tags over 3 .*num_classes=6 .*set the head'
    ):
        lose(head, features, samples)


@pytest.mark.parametrize('kind', ['CAMHead', 'SEAMHead'])
def test_a_background_alone_is_refused(kind):
    with pytest.raises(ValueError, match='num_classes is 1: it counts the background'):
        MODELS.build(dict(type=kind, in_channels=6, num_classes=1))
