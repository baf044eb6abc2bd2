import pytest
import torch
from mmengine.model import BaseModel
from torch.testing import assert_close

from wsss_mm.functional import (
    reconstruction_loss,
    tag_entropy,
    tag_loss,
    training_max_norm,
)
from wsss_mm.models.structures import View, identity
from wsss_mm.models.testing import losses_on, predicted_maps
from wsss_mm.registry import MODELS

LABELS = torch.tensor([[1.0, 0, 1], [0, 1, 0]])


def build_head(kind='PuzzleCAMHead', **settings):
    torch.manual_seed(0)
    if kind == 'AddedPuzzleHead':
        config = dict(base=dict(type='CAMHead', in_channels=6, dropout_ratio=0.0))
    else:
        config = dict(in_channels=6)
    head = MODELS.build(dict(type=kind, num_classes=4, **config, **settings))
    head.init_weights()
    return head


@pytest.fixture
def features():
    torch.manual_seed(1)
    full, tiles = torch.randn(2, 6, 4, 6), torch.randn(8, 6, 2, 3)
    return {'full': (full.requires_grad_(),), 'tiles': (tiles.requires_grad_(),)}


@pytest.fixture
def samples(make_sample):
    return [make_sample(labels.tolist()) for labels in LABELS]


def lose(head, features, samples):
    image = torch.zeros(2, 3, 8, 12)
    views = {'full': View(image, identity), 'tiles': View(image, identity)}
    return losses_on(head, features, views, samples)


def put_together(tiles):
    """The pieces of both images, by hand: left and right, above and below."""
    whole = torch.zeros(2, 3, 4, 6)
    for b in range(2):
        for piece, (y, x) in enumerate([(0, 0), (0, 3), (2, 0), (2, 3)]):
            whole[b, :, y : y + 2, x : x + 3] = tiles[piece * 2 + b]
    return whole


@pytest.mark.parametrize('kind', ['PuzzleCAMHead', 'AddedPuzzleHead'])
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(level='cam', masking='none'),
        dict(masking='selection', distance='l2'),
    ],
)
def test_losses_are_the_functions(kind, options, features, samples):
    head = build_head(kind, reconstruction=options, reconstruction_weight=2.5)
    losses = lose(head, features, samples)
    cam = head(features['full'])
    merged = put_together(head(features['tiles']))
    assert_close(losses['loss_cls'], tag_loss(cam.mean(dim=(2, 3)), LABELS))
    assert_close(losses['loss_p_cls'], tag_loss(merged.mean(dim=(2, 3)), LABELS))
    level = options.pop('level', 'logits')
    maps = [training_max_norm(m) if level == 'cam' else m for m in (cam, merged)]
    expected = 2.5 * reconstruction_loss(*maps, LABELS, **options)
    assert_close(losses['loss_re'], expected)
    assert set(losses) == {'loss_cls', 'loss_p_cls', 'loss_re'}
    total, _ = BaseModel.parse_losses(head, losses)
    assert_close(total, sum(losses.values()))


def test_entropy_is_an_option(features, samples):
    head = build_head(entropy_weight=0.5)
    losses = lose(head, features, samples)
    logits = head(features['tiles']).mean(dim=(2, 3))
    assert_close(losses['loss_entropy'], 0.5 * tag_entropy(logits))


def test_nothing_is_detached(features, samples):
    head = build_head()
    lose(head, features, samples)['loss_re'].backward()
    assert features['full'][0].grad.any()
    assert features['tiles'][0].grad.any()
    assert head.classifier.weight.grad[0].any()


def test_prediction_is_a_plain_cam(features):
    head, plain = build_head(), build_head()
    plain = MODELS.build(
        dict(type='CAMHead', in_channels=6, num_classes=4, dropout_ratio=0.0)
    )
    plain.load_state_dict(head.state_dict())
    for found, expected in zip(
        predicted_maps(head, features['full'], (8, 12)),
        predicted_maps(plain, features['full'], (8, 12)),
    ):
        assert torch.equal(found, expected)


def test_a_plain_classifier_loads_into_the_added_head(features):
    plain, added = build_head(), build_head('AddedPuzzleHead')
    added.load_state_dict(plain.state_dict())
    assert torch.equal(added(features['full']), plain(features['full']))


def test_pieces_that_do_not_make_up_the_map(features, samples):
    tiles = (features['tiles'][0][..., :2],)
    with pytest.raises(ValueError, match=r'\(4, 4\) cells, .* \(4, 6\).*crop_size'):
        lose(build_head(), {**features, 'tiles': tiles}, samples)


@pytest.mark.parametrize('kind', ['PuzzleCAMHead', 'AddedPuzzleHead'])
def test_an_unknown_level(kind):
    with pytest.raises(ValueError, match="level='maps'; choose one of logits, cam"):
        build_head(kind, reconstruction=dict(level='maps'))


def test_pieces_beside_equivariance(build_model, make_sample):
    """Puzzle-CAM on SEAM: both kinds of views, all losses, one step."""
    seam = build_model('seam')
    model = build_model(
        'seam',
        data_preprocessor=dict(
            type='PuzzleViews',
            preprocessor=dict(
                type='EquivariantViews',
                preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
                scale=0.5,
            ),
        ),
        decode_head=dict(
            type='AddedPuzzleHead',
            base=dict(type='SEAMHead', in_channels=8, dropout_ratio=0.0),
            num_classes=4,
        ),
    )
    state = {
        key.replace('decode_head.', 'decode_head.base.'): value
        for key, value in seam.state_dict().items()
    }
    model.load_state_dict(state)
    samples = [make_sample(labels.tolist(), img_shape=(32, 32)) for labels in LABELS]
    data = dict(inputs=list(torch.randn(2, 3, 32, 32)), data_samples=samples)
    found = model(**model.data_preprocessor(data, True), mode='loss')
    alone = seam(**seam.data_preprocessor(data, True), mode='loss')
    assert set(found) == {*alone, 'loss_p_cls', 'loss_re'}
    for name, loss in alone.items():
        assert_close(found[name], loss)
    model.parse_losses(found)[0].backward()
    assert model.neck.f9.weight.grad.any()
    assert model.decode_head.base.classifier.weight.grad[1:].any()


def test_the_other_head_looks_once_at_every_view(features, samples, calls_of):
    head = build_head('AddedPuzzleHead')
    calls = calls_of(head.base)
    lose(head, features, samples)
    assert sorted(calls) == [(2, 3), (4, 6)]


@pytest.mark.parametrize('kind', ['PuzzleCAMHead', 'AddedPuzzleHead'])
def test_the_pieces_logits_are_of_raw_maps_at_either_level(kind, features, samples):
    """The released code averages normalised maps at level 'cam': see the Note."""
    losses = {}
    for level in ('logits', 'cam'):
        head = build_head(kind, reconstruction=dict(level=level))
        losses[level] = lose(head, features, samples)
    assert torch.equal(losses['cam']['loss_p_cls'], losses['logits']['loss_p_cls'])
    assert not torch.allclose(losses['cam']['loss_re'], losses['logits']['loss_re'])
    head = build_head(kind)
    merged = put_together(head(features['tiles']))
    theirs = tag_loss(training_max_norm(merged).mean(dim=(2, 3)), LABELS)
    assert abs(theirs - losses['cam']['loss_p_cls']) > 0.01
