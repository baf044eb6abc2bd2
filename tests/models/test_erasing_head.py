import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch.testing import assert_close

from wsss_mm.functional import fuse_attention, inference_max_norm
from wsss_mm.models.structures import View, identity
from wsss_mm.models.testing import context_of, losses_on, predicted_maps
from wsss_mm.registry import MODELS

LABELS = torch.tensor([[1.0, 0, 1], [0, 1, 0]])


def build_head(**settings):
    config = dict(
        type='ErasingHead',
        in_channels=8,
        num_classes=4,
        channels=(6, 5),
        dropout_ratio=0.0,
    )
    torch.manual_seed(0)
    head = MODELS.build({**config, **settings})
    head.init_weights()
    for name, parameter in head.named_parameters():
        # Lively scores of either sign: 0.01 would leave all but the biases out.
        scale = 0.1 if name.endswith('bias') else 0.4
        torch.nn.init.normal_(parameter, std=scale)
    return head


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(4)
    maps = torch.rand(2, 8, 6, 5, generator=generator)
    return torch.zeros(2, 3, 12, 10), maps


@pytest.fixture
def samples(make_sample):
    return [make_sample(labels) for labels in LABELS.tolist()]


def lose(head, features, samples):
    views = {'full': View(torch.zeros(2, 3, 24, 20), identity)}
    return losses_on(head, {'full': features}, views, samples)


def score(branch, x):
    """A branch, layer by layer."""
    for conv in branch.convs:
        x = F.conv2d(x, conv.weight, conv.bias, padding=1).clamp(min=0)
    return F.conv2d(x, branch.score.weight, branch.score.bias)


def attend(scores, labels):
    """The attention of each image, class by class."""
    maps = []
    for image, tags in zip(scores, labels):
        found = torch.zeros(1, *image.shape[1:])
        for one, present in zip(image.clamp(min=0), tags):
            if present:
                spread = one.max() - one.min() + 1e-8
                found[0] = torch.maximum(found[0], (one - one.min()) / spread)
        maps.append(found)
    return torch.stack(maps)


def branch_inputs(x, attention, high, low):
    rest, background = x.clone(), x.clone()
    rest[(attention > high).expand_as(x)] = 0
    rest[(attention < low).expand_as(x)] *= -1
    background[(attention >= (high + low) / 2).expand_as(x)] = 0
    return rest, background


@pytest.mark.parametrize('channels', [(), (6, 5)])
@pytest.mark.parametrize('pair', [(0.7, 0.05), (0.6, 0.4)])
def test_the_losses_are_the_three_branches(features, samples, channels, pair):
    head = build_head(channels=channels, thresholds=pair)
    x = features[-1]
    a = score(head.branch_a, x)
    rest, background = branch_inputs(x, attend(a.detach(), LABELS), *pair)
    assert not torch.equal(rest, x)
    expected = {
        'loss_a': (a, LABELS),
        'loss_b': (score(head.branch_b, rest), LABELS),
        'loss_c': (score(head.branch_b, background), torch.zeros(2, 3)),
    }
    found = lose(head, features, samples)
    assert found.keys() == expected.keys()
    for name, (maps, target) in expected.items():
        logits = maps.mean(dim=(2, 3))
        value = F.binary_cross_entropy_with_logits(logits, target)
        assert_close(found[name], value)


def test_the_weight_scales_every_loss(features, samples):
    plain = lose(build_head(), features, samples)
    summed = lose(build_head(loss_weight=3.0), features, samples)
    for name, value in plain.items():
        assert_close(summed[name], 3 * value)


def test_gradient_routes(features, samples):
    head = build_head()
    features[-1].requires_grad_()
    losses = lose(head, features, samples)
    parameters = dict(head.named_parameters())
    for name, branch in (('loss_a', 'a'), ('loss_b', 'b'), ('loss_c', 'b')):
        gradients = torch.autograd.grad(
            losses[name],
            [*parameters.values(), features[-1]],
            retain_graph=True,
            allow_unused=True,
        )
        reached = {n for n, g in zip(parameters, gradients) if g is not None}
        # No loss of B or C trains A through its attention.
        assert reached == {n for n in parameters if n.startswith(f'branch_{branch}')}
        assert gradients[-1].any()


@pytest.mark.parametrize(('name', 'zone'), [('loss_b', 'erased'), ('loss_c', 'kept')])
def test_a_1x1_branch_sends_nothing_to_what_it_does_not_see(
    features, samples, name, zone
):
    head = build_head(channels=())
    x = features[-1].requires_grad_()
    lose(head, features, samples)[name].backward()
    attention = attend(score(head.branch_a, x).detach(), LABELS)
    hidden = attention > 0.7 if zone == 'erased' else attention >= 0.375
    assert 0 < hidden.sum() < hidden.numel()
    assert not x.grad[hidden.expand_as(x)].any()
    assert x.grad[(~hidden).expand_as(x)].all()


def test_dropout_is_in_branch_a_alone(features, samples):
    head = build_head(dropout_ratio=0.5).train()
    torch.manual_seed(0)
    x = features[-1]
    assert not torch.equal(head.branch_a(x), head.branch_a(x))
    assert torch.equal(head.branch_b(x), head.branch_b(x))
    dropped = head.branch_a.dropout(torch.ones(2, 4, 6, 5))
    # Cells, not whole channels.
    assert 0 < (dropped == 0).flatten(2).float().mean(dim=2).min() < 1


def test_prediction_fuses_both_branches(features):
    head = build_head().eval()
    x = features[-1]
    with torch.no_grad():
        found, logits = predicted_maps(head, features, (24, 20), LABELS)
        a = score(head.branch_a, x)
        rest, _ = branch_inputs(x, attend(a, LABELS), 0.7, 0.05)
        b = score(head.branch_b, rest)
    large = [
        F.interpolate(m, (24, 20), mode='bilinear', align_corners=False).clamp(min=0)
        for m in (a, b)
    ]
    scaled = [m / (m.amax(dim=(2, 3), keepdim=True) + 1e-8) for m in large]
    assert_close(found, torch.maximum(*scaled))
    assert_close(logits, a.mean(dim=(2, 3)))
    # Either branch is needed somewhere.
    assert (scaled[0] > scaled[1]).any()
    assert (scaled[1] > scaled[0]).any()


def test_the_released_thresholds_reverse_nothing(features):
    head = build_head(test_thresholds=(0.8, 0.0)).eval()
    x = features[-1]
    with torch.no_grad():
        found, _ = predicted_maps(head, features, (6, 5), LABELS)
        a = score(head.branch_a, x)
        erased = (attend(a, LABELS) > 0.8).expand_as(x)
        b = score(head.branch_b, x.masked_fill(erased, 0))
    assert_close(found, fuse_attention([a, b]))


def test_without_tags_those_found_are_erased(features):
    head = build_head().eval()
    with torch.no_grad():
        found, logits = predicted_maps(head, features, (6, 5))
        expected, _ = predicted_maps(head, features, (6, 5), (logits > 0).float())
        other, _ = predicted_maps(head, features, (6, 5), 1 - (logits > 0).float())
    assert_close(found, expected)
    assert not torch.equal(found, other)


def test_initial_weights():
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='ErasingHead', in_channels=64, num_classes=4, channels=(64, 64))
    )
    head.init_weights()
    for name, parameter in head.named_parameters():
        if name.endswith('bias'):
            assert not parameter.any()
        elif 'convs' in name:
            assert parameter.std().item() == pytest.approx(0.01, rel=0.05)


class TestLoading:
    def test_a_plain_classifier_becomes_both_scores(self):
        cam = MODELS.build(dict(type='CAMHead', in_channels=8, num_classes=4))
        head = build_head(channels=())
        state = {f'decode_head.{k}': v for k, v in cam.state_dict().items()}
        holder = torch.nn.ModuleDict({'decode_head': head})
        before = set(state)
        assert not any(holder.load_state_dict(state, strict=True))
        assert set(state) == before
        for branch in (head.branch_a, head.branch_b):
            assert torch.equal(branch.score.weight, cam.classifier.weight)
            assert not branch.score.bias.any()

    def test_its_own_weights_load(self):
        head, other = build_head(channels=()), build_head(channels=())
        torch.nn.init.normal_(other.branch_b.score.weight)
        head.load_state_dict(other.state_dict())
        assert torch.equal(head.branch_b.score.weight, other.branch_b.score.weight)

    def test_deep_branches_keep_their_own(self):
        head = build_head()
        found = head.load_state_dict(
            {'classifier.weight': torch.zeros(3, 8, 1, 1)}, strict=False
        )
        assert found.unexpected_keys == ['classifier.weight']
        assert head.branch_a.score.weight.any()


class TestInASegmentor:
    @pytest.fixture
    def erasing(self, build_model, model_config):
        def make(**changes):
            head = dict(
                type='ErasingHead',
                in_channels=8,
                num_classes=4,
                channels=(6,),
                dropout_ratio=0.0,
            )
            model = build_model('cam', decode_head=head, **changes)
            for parameter in model.decode_head.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
            return model

        return make

    @pytest.fixture
    def batch(self, make_sample):
        def make(labels=((1, 0, 1), (0, 1, 0))):
            images = torch.randn(2, 3, 24, 32)
            meta = dict(ori_shape=(24, 32), img_shape=(24, 32))
            samples = [make_sample(label, **meta) for label in labels]
            return dict(inputs=list(images), data_samples=samples)

        return make

    def test_a_step_changes_every_weight(self, erasing, batch):
        model = erasing()
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        log = model.train_step(batch(), OptimWrapper(optimizer))
        parts = {n: v for n, v in log.items() if n.startswith('loss_')}
        assert set(parts) == {'loss_a', 'loss_b', 'loss_c'}
        assert_close(log['loss'], sum(parts.values()).to(log['loss']))
        after = model.state_dict()
        assert all(not torch.equal(after[name], before[name]) for name in before)

    def test_views_beside_the_full_one_do_not_matter(self, erasing, batch):
        model = erasing()
        data = batch()
        plain = model.data_preprocessor(copy.deepcopy(data), True)
        wrapped = erasing(
            data_preprocessor=dict(
                type='EquivariantViews',
                preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
            )
        )
        views = wrapped.data_preprocessor(data, True)
        assert_close(wrapped.loss(**views), model.loss(**plain))

    def test_prediction_sees_the_tags(self, erasing, batch):
        model = erasing().eval()
        data = batch()
        with torch.no_grad():
            features = model.extract_feat(torch.stack(data['inputs']))
            tags = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
            cams, logits = predicted_maps(model.decode_head, features, (24, 32), tags)
            untold, _ = predicted_maps(model.decode_head, features, (24, 32), 1 - tags)
            found = model.test_step(data)
        assert not torch.allclose(cams, untold)
        for sample, cam, scores, present in zip(found, cams, logits, tags):
            raw = cam * present[:, None, None]
            assert_close(sample.seg_logits.data, raw)
            assert_close(sample.tag_scores, scores.sigmoid())
            assert_close(
                sample.cam.data[present.bool()], inference_max_norm(raw[present.bool()])
            )

    def test_prediction_without_tags(self, erasing, batch):
        model = erasing().eval()
        data = batch(labels=(None, None))
        with torch.no_grad():
            features = model.extract_feat(torch.stack(data['inputs']))
            cams, _ = predicted_maps(model.decode_head, features, (24, 32))
            found = model.test_step(data)
        for sample, cam in zip(found, cams):
            assert_close(sample.seg_logits.data, cam)

    def test_tags_of_some_images_only_are_refused(self, erasing, batch):
        with pytest.raises(ValueError, match=r'pond\.jpg: no image tags'):
            erasing().eval().test_step(batch(labels=((1, 0, 0), None)))

    def test_mirrors_fuse_by_their_maximum(self, erasing, make_sample):
        model = erasing().eval()
        image = torch.randn(3, 24, 32)
        meta = dict(ori_shape=(24, 32), img_shape=(24, 32))
        views = [
            make_sample((1, 0, 1), flip=flip, flip_direction='horizontal', **meta)
            for flip in (False, True)
        ]
        data = dict(
            inputs=[[image], [image.flip(-1)]],
            data_samples=[[view] for view in views],
        )
        tta = MODELS.build(dict(type='MaxCAMTTAModel', module=model))
        with torch.no_grad():
            (sample,) = tta.test_step(copy.deepcopy(data))
            single = [
                model.test_step(
                    dict(inputs=data['inputs'][i], data_samples=data['data_samples'][i])
                )[0].seg_logits.data
                for i in (0, 1)
            ]
        # The model has brought the mirrored map back already.
        assert_close(sample.seg_logits.data, torch.maximum(*single))
        assert not torch.allclose(*single)


class TestAddedErasing:
    @pytest.fixture
    def added(self, build_model):
        def make(method, **changes):
            kind = 'SEAMHead' if method == 'seam' else 'CAMHead'
            head = dict(
                type='AddedErasingHead',
                base=dict(type=kind, in_channels=8, dropout_ratio=0.0),
                in_channels=8,
                num_classes=4,
                channels=(),
                in_index=-2 if method == 'seam' else -1,
                **changes,
            )
            model = build_model(method)
            torch.manual_seed(0)
            model.decode_head = MODELS.build(head)
            for parameter in model.decode_head.parameters():
                torch.nn.init.normal_(parameter, std=0.4)
            return model

        return make

    @pytest.fixture
    def data(self, make_sample):
        meta = dict(ori_shape=(24, 32), img_shape=(24, 32))
        images = torch.randn(2, 3, 24, 32, generator=torch.Generator().manual_seed(2))
        samples = [make_sample(label, **meta) for label in LABELS.tolist()]
        return dict(inputs=list(images), data_samples=samples)

    @pytest.mark.parametrize('method', ['cam', 'seam'])
    def test_the_other_heads_losses_stay(self, added, data, method):
        model = added(method, loss_weight=0.5)
        batch = model.data_preprocessor(data, True)
        found = model.loss(**batch)
        head = model.decode_head
        views = batch['inputs']
        if method == 'cam':
            views = {'full': View(views, identity)}
        features = {n: model.extract_feat(v.image) for n, v in views.items()}
        own = losses_on(head.base, features, views, data['data_samples'])
        x = features['full'][head.in_index]
        attention = attend(head.base(features['full'])[:, -3:].detach(), LABELS)
        rest, background = branch_inputs(x, attention, 0.7, 0.05)
        for name, seen, target in (
            ('loss_b', rest, LABELS),
            ('loss_c', background, torch.zeros(2, 3)),
        ):
            logits = score(head.branch_b, seen).mean(dim=(2, 3))
            own[name] = 0.5 * F.binary_cross_entropy_with_logits(logits, target)
        assert found.keys() == own.keys()
        for name, value in own.items():
            assert_close(found[name], value)

    def test_the_branches_do_not_train_the_other_head(self, added, data):
        model = added('seam')
        losses = model.loss(**model.data_preprocessor(data, True))
        (losses['loss_b'] + losses['loss_c']).backward()
        reached = {n for n, p in model.named_parameters() if p.grad is not None}
        assert {n.split('.')[0] for n in reached} == {'backbone', 'decode_head'}
        inside = {n for n in reached if n.startswith('decode_head')}
        assert all('branch_b' in name for name in inside)

    @pytest.mark.parametrize('method', ['cam', 'seam'])
    def test_prediction_fuses_with_the_other_heads_cam(self, added, data, method):
        model = added(method).eval()
        head = model.decode_head
        with torch.no_grad():
            features = model.extract_feat(torch.stack(data['inputs']))
            cam, logits = predicted_maps(head.base, features, (24, 32))
            cam = cam.clamp(min=0) - cam.clamp(min=0).amin(dim=(2, 3), keepdim=True)
            found = model.test_step(data)
            attention = attend(head.base(features)[:, -3:], LABELS)
            rest, _ = branch_inputs(features[head.in_index], attention, 0.7, 0.05)
            b = score(head.branch_b, rest)
        maps = [
            F.interpolate(m, (24, 32), mode='bilinear', align_corners=False)
            for m in (cam, b)
        ]
        fused = fuse_attention(maps) * LABELS[:, :, None, None]
        for sample, raw, tags in zip(found, fused, logits):
            assert_close(sample.seg_logits.data, raw)
            assert_close(sample.tag_scores, tags.sigmoid())

    def test_a_plain_classifier_loads(self, added):
        head = added('seam').decode_head
        cam = MODELS.build(dict(type='CAMHead', in_channels=8, num_classes=4))
        assert not any(head.load_state_dict(cam.state_dict(), strict=True))
        assert torch.equal(head.branch_b.score.weight, cam.classifier.weight)
        assert torch.equal(head.base.classifier.weight[1:], cam.classifier.weight)


@pytest.mark.parametrize('name', ['thresholds', 'test_thresholds'])
@pytest.mark.parametrize('pair', [(0.05, 0.7), (1.5, 0.0), (0.7, -0.1)])
def test_bad_thresholds_are_refused(name, pair):
    with pytest.raises(ValueError, match=r'\(high, low\) with 0 <= low <= high <= 1'):
        build_head(**{name: pair})


def test_a_background_alone_is_refused():
    with pytest.raises(ValueError, match='num_classes is 1: it counts the background'):
        build_head(num_classes=1)


class TestCubicEnlarging:
    """The released notebook: resize once by cv2's cubic kernel, clip, divide, fuse."""

    @pytest.mark.parametrize('image_size', [(41, 67), (24, 20), (5, 4)])
    def test_it_is_the_notebooks(self, features, image_size):
        cv2 = pytest.importorskip('cv2')
        head = build_head(type='CubicErasingHead').eval()
        with torch.no_grad():
            cams, _ = head.predict(context_of(features, (24, 20), LABELS))
            found = head.to_image(cams[0], (24, 20), image_size)
        for cls, maps in zip(found, cams[0]):
            fused = torch.zeros(image_size)
            for branch in maps:
                width_first = image_size[::-1]
                large = cv2.resize(
                    branch.numpy(), width_first, interpolation=cv2.INTER_CUBIC
                )
                positive = torch.from_numpy(large).clamp(min=0)
                fused = torch.maximum(fused, positive / (positive.max() + 1e-8))
            assert_close(cls, fused, rtol=1e-4, atol=1e-5)

    def test_it_differs_from_ours_and_loads_its_weights(self, features):
        ours, cubic = build_head().eval(), build_head(type='CubicErasingHead').eval()
        cubic.load_state_dict(ours.state_dict())
        with torch.no_grad():
            cams, _ = ours.predict(context_of(features, (24, 20), LABELS))
            again, _ = cubic.predict(context_of(features, (24, 20), LABELS))
        assert torch.equal(cams, again)
        sizes = (24, 20), (41, 67)
        gap = ours.to_image(cams[0], *sizes) - cubic.to_image(cams[0], *sizes)
        assert gap.abs().max() > 0.01


def test_the_other_head_looks_once_at_every_view(build_model, make_sample, calls_of):
    model = build_model('seam')
    base = dict(type='SEAMHead', in_channels=8, dropout_ratio=0.5)
    config = dict(type='AddedErasingHead', base=base, in_channels=8, num_classes=4)
    model.decode_head = MODELS.build({**config, 'channels': (), 'in_index': -2})
    meta = dict(ori_shape=(24, 32), img_shape=(24, 32))
    samples = [make_sample(labels, **meta) for labels in LABELS.tolist()]
    data = dict(inputs=list(torch.randn(2, 3, 24, 32)), data_samples=samples)
    calls = calls_of(model.decode_head.base)
    model.loss(**model.data_preprocessor(data, True))
    assert sorted(calls) == [(3, 4), (6, 8)]
    calls.clear()
    model.eval().test_step(data)
    assert calls == [(6, 8)]


def test_maps_of_two_sizes_are_refused(features):
    base = dict(type='CAMHead', in_channels=8)
    config = dict(type='AddedErasingHead', base=base, in_channels=3, num_classes=4)
    head = MODELS.build({**config, 'channels': (), 'in_index': 0}).eval()
    with pytest.raises(ValueError, match='they must be maps of one size'):
        head.predict(context_of(features, (24, 20), LABELS))


def test_a_base_that_is_no_cam_head():
    base = dict(type='FCNHead', in_channels=8, channels=4)
    with pytest.raises(ValueError, match='base is a FCNHead; it must be a CAM head'):
        MODELS.build(
            dict(type='AddedErasingHead', base=base, in_channels=8, num_classes=4)
        )
