import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from wsss_mm.functional import inference_max_norm, inference_min_max_norm
from wsss_mm.models.segmentors import cam_prediction
from wsss_mm.models.structures import BackboneOutput, View, identity
from wsss_mm.models.testing import predicted_maps
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

LABELS = [[1, 0, 1], [0, 1, 0]]
METHODS = pytest.mark.parametrize('method', ['cam', 'seam'])


@pytest.fixture
def batch(make_sample):
    """Give two images as a data loader does."""

    def make(size=(24, 32), labels=LABELS, **metainfo):
        images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))
        meta = dict(ori_shape=size, img_shape=size) | metainfo
        samples = [make_sample(label, **meta) for label in labels]
        return dict(inputs=list(images), data_samples=samples)

    return make


def enlarge(maps, size):
    return F.interpolate(maps[None], size, mode='bilinear', align_corners=False)[0]


class TestTraining:
    @METHODS
    def test_a_step_changes_every_trained_weight(self, build_model, batch, method):
        from mmengine.optim import OptimWrapper

        model = build_model(method)
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        log = model.train_step(batch(), OptimWrapper(optimizer))
        assert {name for name in log if 'loss' in name} == (
            {'loss', 'loss_cls'}
            if method == 'cam'
            else {'loss', 'loss_cls', 'loss_min_pool', 'loss_er', 'loss_ecr'}
        )
        parts = [value for name, value in log.items() if name.startswith('loss_')]
        assert_close(log['loss'], sum(parts).to(log['loss']))
        after = model.state_dict()
        assert all(not torch.equal(after[name], before[name]) for name in before)

    @METHODS
    def test_one_pass_for_each_view(self, build_model, batch, method):
        model = build_model(method)
        data = model.data_preprocessor(batch(), True)
        model.loss(**data)
        full = [(2, 3, 24, 32)]
        assert model.backbone.calls == full + [(2, 3, 12, 16)] * (method == 'seam')

    def test_plain_images_are_the_full_view(self, build_model, batch):
        model = build_model('cam')
        data = model.data_preprocessor(batch(), True)
        assert isinstance(data['inputs'], torch.Tensor)
        wrapped = build_model(
            'cam',
            data_preprocessor=dict(
                type='EquivariantViews',
                preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
            ),
        )
        twice = wrapped.data_preprocessor(batch(), True)
        assert_close(model.loss(**data), wrapped.loss(**twice))

    def test_the_refinement_never_trains_the_backbone(self, build_model, batch):
        model = build_model('seam')
        losses = model.loss(**model.data_preprocessor(batch(), True))
        (losses['loss_ecr'] + losses['loss_min_pool']).backward()
        reached = {n for n, p in model.named_parameters() if p.grad is not None}
        assert reached == {f'neck.{name}.weight' for name in ('f8_3', 'f8_4', 'f9')}

    def test_a_neck_without_images(self, build_model):
        class Halve(nn.Module):
            def forward(self, features):
                return [feature / 2 for feature in features]

        model = build_model('cam')
        image = torch.randn(1, 3, 24, 32)
        plain = model.extract_feat(image)
        model.neck = Halve()
        assert_close(model.extract_feat(image), tuple(x / 2 for x in plain))


class TestPrediction:
    @METHODS
    def test_an_image_of_the_networks_own_size(self, build_model, batch, method):
        model = build_model(method).eval()
        data = batch()
        with torch.no_grad():
            features = model.extract_feat(torch.stack(data['inputs']))
            cams, logits = predicted_maps(model.decode_head, features, (24, 32))
            samples = model.test_step(data)
        normalize = inference_max_norm if method == 'cam' else inference_min_max_norm
        for sample, cam, score, labels in zip(samples, cams, logits, LABELS):
            raw = enlarge(cam, (24, 32)) * torch.tensor(labels)[:, None, None]
            assert_close(sample.seg_logits.data, raw)
            assert_close(sample.tag_scores, score.sigmoid())
            for index, present in enumerate(labels):
                found = sample.cam.data[index]
                if present:
                    assert_close(found, normalize(raw[[index]])[0])
                else:
                    assert not found.any()

    @METHODS
    def test_masks_hold_what_the_tags_name(self, build_model, batch, method):
        model = build_model(method).eval()
        samples = model.test_step(batch())
        for sample, labels in zip(samples, LABELS):
            mask = sample.pred_sem_seg.data
            assert mask.shape == (1, 24, 32)
            assert mask.dtype == torch.int64
            cam = sample.cam.data
            best, winner = cam.max(dim=0)
            expected = torch.where(best > 0.2, winner + 1, 0)
            assert torch.equal(mask[0], expected)
            named = {i + 1 for i, present in enumerate(labels) if present}
            assert set(mask.unique().tolist()) <= named | {0}
            assert mask.any()

    def test_an_image_without_tags_is_all_background(self, build_model, batch):
        model = build_model('seam').eval()
        for sample in model.test_step(batch(labels=[[0, 0, 0]] * 2)):
            assert not sample.pred_sem_seg.data.any()
            assert not sample.cam.data.any()
            assert not sample.seg_logits.data.any()

    def test_unknown_tags_leave_every_class_open(self, build_model, batch):
        model = build_model('cam').eval()
        (sample, _) = model.test_step(batch(labels=[None, None]))
        with torch.no_grad():
            features = model.extract_feat(torch.stack(batch()['inputs']))
            cams, _ = predicted_maps(model.decode_head, features, (24, 32))
        assert_close(sample.seg_logits.data, enlarge(cams[0], (24, 32)))
        assert_close(sample.cam.data, inference_max_norm(sample.seg_logits.data))

    @pytest.mark.parametrize('original', [(48, 64), (11, 19)])
    def test_maps_come_at_the_size_of_the_file(self, build_model, batch, original):
        model = build_model('cam').eval()
        (sample, _) = model.test_step(batch(ori_shape=original))
        assert sample.seg_logits.data.shape == (3, *original)
        assert sample.cam.data.shape == (3, *original)
        assert sample.pred_sem_seg.data.shape == (1, *original)

    @pytest.mark.parametrize(
        ('direction', 'axis'), [('horizontal', -1), ('vertical', -2)]
    )
    def test_mirrored_images_are_mirrored_back(
        self, build_model, batch, direction, axis
    ):
        model = build_model('cam').eval()
        (plain, _) = model.test_step(batch(flip=False))
        (mirrored, _) = model.test_step(batch(flip=True, flip_direction=direction))
        assert_close(
            mirrored.seg_logits.data, plain.seg_logits.data.flip(axis), rtol=0, atol=0
        )
        assert_close(mirrored.cam.data, plain.cam.data.flip(axis))
        assert torch.equal(
            mirrored.pred_sem_seg.data, plain.pred_sem_seg.data.flip(axis)
        )

    def test_the_normalisation_is_chosen(self, build_model, batch):
        found = {}
        for name in ('max', 'min_max'):
            cfg = dict(normalization=name, background_threshold=0.2)
            model = build_model('cam', test_cfg=cfg).eval()
            (found[name], _) = model.test_step(batch())
        raw = found['max'].seg_logits.data
        raw = raw[[0, 2]] + 0
        assert_close(found['max'].cam.data[[0, 2]], inference_max_norm(raw))
        assert_close(found['min_max'].cam.data[[0, 2]], inference_min_max_norm(raw))
        assert not torch.equal(found['max'].cam.data, found['min_max'].cam.data)

    def test_the_threshold_decides_on_background(self, build_model, batch):
        shares = []
        for threshold in (0.0, 0.3, 0.7, 1.0):
            cfg = dict(normalization='max', background_threshold=threshold)
            model = build_model('cam', test_cfg=cfg).eval()
            samples = model.test_step(batch())
            masks = torch.stack([s.pred_sem_seg.data for s in samples])
            shares.append((masks == 0).float().mean().item())
        assert shares == sorted(shares)
        assert shares[0] < shares[1] < shares[2] < shares[3] == 1.0

    def test_an_unknown_normalisation_is_refused(self, build_model, batch):
        cfg = dict(normalization='softmax', background_threshold=0.2)
        model = build_model('cam', test_cfg=cfg).eval()
        with pytest.raises(
            ValueError, match=r"'softmax', expected one of \['max', 'min"
        ):
            model.test_step(batch())

    def test_tags_of_another_class_count_are_refused(self, build_model, batch):
        model = build_model('cam').eval()
        with pytest.raises(ValueError, match=r'pond\.jpg: tags over 4 .*num_classes=4'):
            model.test_step(batch(labels=[[1, 0, 0, 1]] * 2))

    def test_prediction_needs_samples(self, build_model):
        with pytest.raises(ValueError, match='needs data_samples'):
            build_model('cam').predict(torch.zeros(1, 3, 24, 32))


class TestSeveralViews:
    SIZES = ((12, 16), (24, 32), (36, 48))

    @pytest.fixture
    def tta_batch(self, batch):
        """Two images at three scales, each followed by its mirror."""
        inputs, samples = [], []
        for size in self.SIZES:
            for flip in (False, True):
                meta = dict(ori_shape=(24, 32), flip=flip, flip_direction='horizontal')
                data = batch(size, **meta)
                images = data['inputs']
                inputs.append([i.flip(-1) if flip else i for i in images])
                samples.append(data['data_samples'])
        return dict(inputs=inputs, data_samples=samples)

    @METHODS
    def test_it_is_the_sum_over_single_passes(self, build_model, tta_batch, method):
        model = build_model(method).eval()
        tta = MODELS.build(dict(type='CAMTTAModel', module=model))
        with torch.no_grad():
            merged = tta.test_step(copy.deepcopy(tta_batch))
        normalize = inference_max_norm if method == 'cam' else inference_min_max_norm
        for image, labels in enumerate(LABELS):
            total, scores = torch.zeros(3, 24, 32), []
            for view, sample in zip(tta_batch['inputs'], tta_batch['data_samples']):
                one = view[image][None]
                with torch.no_grad():
                    features = model.extract_feat(one)
                    cam, logits = predicted_maps(
                        model.decode_head, features, one.shape[-2:]
                    )
                cam = enlarge(cam[0], (24, 32))
                total += cam.flip(-1) if sample[image].flip else cam
                scores.append(logits[0].sigmoid())
            found = merged[image]
            expected = total * torch.tensor(labels)[:, None, None]
            assert_close(found.seg_logits.data, expected)
            assert_close(found.tag_scores, sum(scores) / 6)
            present = np.flatnonzero(labels)
            cam = torch.zeros_like(expected)
            cam[present] = normalize(expected[present])
            assert_close(found.cam.data, cam)
            best, winner = found.cam.data.max(dim=0)
            threshold = model.test_cfg['background_threshold']
            assert torch.equal(
                found.pred_sem_seg.data[0], torch.where(best > threshold, winner + 1, 0)
            )

    def test_an_image_and_its_mirror_share_a_pass(self, build_model, tta_batch):
        model = build_model('cam').eval()
        tta = MODELS.build(dict(type='CAMTTAModel', module=model))
        tta.test_step(tta_batch)
        assert model.backbone.calls == [(4, 3, *size) for size in self.SIZES]

    def test_scales_of_one_size_share_a_pass_too(self, build_model, batch):
        model = build_model('cam').eval()
        tta = MODELS.build(dict(type='CAMTTAModel', module=model))
        views = [batch() for _ in range(3)]
        data = {key: [view[key] for view in views] for key in views[0]}
        (merged, _) = tta.test_step(data)
        assert model.backbone.calls == [(6, 3, 24, 32)]
        (single, _) = model.test_step(batch())
        assert_close(merged.seg_logits.data, 3 * single.seg_logits.data)
        assert_close(merged.cam.data, single.cam.data, atol=1e-4, rtol=0)

    def test_the_order_of_views_does_not_matter(self, build_model, tta_batch):
        model = build_model('seam').eval()
        tta = MODELS.build(dict(type='CAMTTAModel', module=model))
        backwards = {k: v[::-1] for k, v in copy.deepcopy(tta_batch).items()}
        first, second = tta.test_step(tta_batch), tta.test_step(backwards)
        for a, b in zip(first, second):
            assert_close(a.cam.data, b.cam.data, atol=1e-5, rtol=1e-4)

    def test_names_and_truth_of_the_image_stay(self, build_model, tta_batch):
        model = build_model('cam').eval()
        for view in tta_batch['data_samples']:
            for number, sample in enumerate(view):
                sample.set_metainfo(dict(img_id=f'image {number}'))
        tta = MODELS.build(dict(type='CAMTTAModel', module=model))
        merged = tta.test_step(tta_batch)
        assert [sample.img_id for sample in merged] == ['image 0', 'image 1']
        assert [sample.image_labels.tolist() for sample in merged] == LABELS


class TestRefusals:
    def test_an_auxiliary_head(self, build_model):
        head = dict(type='FCNHead', in_channels=8, channels=4, num_classes=4)
        with pytest.raises(InputError, match='auxiliary_head: a CAM network has one'):
            build_model('cam', auxiliary_head=head)

    def test_weights_that_mmsegmentation_would_load(self, build_model):
        build_model('cam', pretrained=None)
        with pytest.raises(InputError, match=r"pretrained='a\.pth': give backbone"):
            build_model('cam', pretrained='a.pth')

    @pytest.mark.parametrize('mode', ['slide', 'whloe'])
    def test_sliding_windows(self, build_model, mode):
        cfg = dict(normalization='max', background_threshold=0.2, mode=mode)
        with pytest.raises(InputError, match=f"test_cfg.mode is '{mode}'"):
            build_model('cam', test_cfg=cfg)

    def test_the_whole_image_may_be_said(self, build_model, batch):
        cfg = dict(normalization='max', background_threshold=0.2, mode='whole')
        (said, _) = build_model('cam', test_cfg=cfg).eval().test_step(batch())
        (plain, _) = build_model('cam').eval().test_step(batch())
        assert torch.equal(said.cam.maps, plain.cam.maps)

    def test_a_segmentation_head(self, build_model):
        head = dict(type='FCNHead', in_channels=8, channels=4, num_classes=4)
        with pytest.raises(InputError, match=r'is a FCNHead; .*needs a CAM'):
            build_model('cam', decode_head=head)

    @METHODS
    def test_tags_of_some_images_only(self, build_model, batch, method):
        with pytest.raises(InputError, match=r'pond\.jpg: no image tags'):
            build_model(method).eval().test_step(batch(labels=[[1, 0, 0], None]))

    def test_a_network_that_has_diverged(self, build_model, batch):
        model = build_model('cam').eval()
        torch.nn.init.constant_(model.decode_head.classifier.weight, float('nan'))
        with pytest.raises(InputError, match=r'pond\.jpg: the CAM is not finite'):
            model.test_step(batch())

    def test_a_negative_threshold(self, build_model, batch):
        cfg = dict(normalization='max', background_threshold=-0.1)
        model = build_model('cam', test_cfg=cfg).eval()
        with pytest.raises(InputError, match=r'must be a number >= 0, got -0\.1'):
            model.test_step(batch())


class TestWhatHeadsGet:
    @pytest.fixture
    def seen(self, build_model, batch):
        """Run a mode and give the context that the head got."""

        def run(mode, **attributes):
            model = build_model('seam').eval()
            for name, value in attributes.items():
                setattr(model, name, value)
            contexts = []
            head = type(model.decode_head)

            class Spy(head):
                def loss(self, context):
                    contexts.append(context)
                    return super().loss(context)

                def predict(self, context):
                    contexts.append(context)
                    return super().predict(context)

            model.decode_head.__class__ = Spy
            data = batch(ori_shape=(50, 60))
            if mode == 'loss':
                model.loss(**model.data_preprocessor(data, True))
            else:
                model.test_step(data)
            return contexts[0]

        return run

    def test_in_training(self, seen):
        context = seen('loss', dataset_meta=dict(classes=('bg', 'a', 'b', 'c')))
        assert list(context.views) == list(context.features) == ['full', 'transformed']
        assert context.input_size('transformed') == (12, 16)
        assert context.image_labels.tolist() == LABELS
        assert context.class_names == ('bg', 'a', 'b', 'c')
        assert context.attention is None

    def test_in_prediction(self, seen):
        context = seen('predict')
        assert list(context.views) == ['full']
        assert context.image_sizes == ((50, 60), (50, 60))
        assert context.class_names == ()
        assert context.image_labels.tolist() == LABELS

    def test_names_of_the_config_come_first(self, build_model):
        model = build_model('cam')
        model.dataset_meta = dict(classes=('bg', 'a', 'b', 'c'))
        assert model.class_names == ('bg', 'a', 'b', 'c')
        model.decode_head.class_names = ('ground', 'x', 'y', 'z')
        assert model.class_names == ('ground', 'x', 'y', 'z')

    def test_attention_of_the_backbone(self, build_model, batch):
        class Attentive(nn.Module):
            def __init__(self, backbone):
                super().__init__()
                self.backbone = backbone

            def forward(self, image):
                maps = self.backbone(image)
                tokens = maps[-1].flatten(2)
                scores = (tokens.transpose(1, 2) @ tokens).softmax(dim=-1)
                return BackboneOutput(maps, (scores[:, None],))

        model = build_model('cam').eval()
        plain = model.test_step(batch())[0].cam.maps
        model.backbone = Attentive(model.backbone)
        views = {'full': View(torch.stack(batch()['inputs']), identity)}
        context = model.look(views, image_labels=None)
        (attention,) = context.attention['full']
        assert attention.shape == (2, 1, 48, 48)
        assert torch.equal(model.test_step(batch())[0].cam.maps, plain)


class TestWork:
    """What is computed, and how much is held."""

    @pytest.fixture
    def tta_batch(self, batch):
        """Two images at two scales, each with its mirror."""
        inputs, samples = [], []
        for size in ((12, 16), (24, 32)):
            for flip in (False, True):
                meta = dict(ori_shape=(24, 32), flip=flip, flip_direction='horizontal')
                data = batch(size, **meta)
                inputs.append([i.flip(-1) if flip else i for i in data['inputs']])
                samples.append(data['data_samples'])
        return dict(inputs=inputs, data_samples=samples)

    @pytest.mark.parametrize(
        ('kind', 'passes'), [('CAMTTAModel', 2), ('MaxCAMTTAModel', 4)]
    )
    def test_only_present_maps_are_enlarged_mirrors_once(
        self, build_model, tta_batch, monkeypatch, kind, passes
    ):
        model = build_model('cam').eval()
        enlarged = []
        head = type(model.decode_head)
        plain = head.to_image

        def spy(self, cam, input_size, image_size):
            enlarged.append(len(cam))
            return plain(self, cam, input_size, image_size)

        monkeypatch.setattr(head, 'to_image', spy)
        MODELS.build(dict(type=kind, module=model)).test_step(tta_batch)
        assert sum(enlarged) == passes * sum(map(sum, LABELS))

    def test_one_normalisation_and_one_decision(
        self, build_model, tta_batch, monkeypatch
    ):
        model = build_model('cam').eval()
        calls = []
        for name in ('normalise', 'decide_masks'):
            function = getattr(cam_prediction, name)

            def spy(*args, _name=name, _function=function, **more):
                calls.append(_name)
                return _function(*args, **more)

            monkeypatch.setattr(cam_prediction, name, spy)
        MODELS.build(dict(type='CAMTTAModel', module=model)).test_step(tta_batch)
        # Two images, one batch.
        assert calls == ['normalise', 'normalise', 'decide_masks']

    @pytest.mark.parametrize('kind', ['CAMTTAModel', 'MaxCAMTTAModel'])
    @pytest.mark.parametrize('head', ['CAMHead', 'SEAMHead', 'ErasingHead'])
    def test_81_classes_of_which_two_are_present(
        self, model_config, make_sample, peak_memory, kind, head
    ):
        """480 x 640 at four scales, with mirrors: 1,688 MiB when all were held."""
        config = model_config('seam' if head == 'SEAMHead' else 'cam')
        config['data_preprocessor'] = dict(type='SegDataPreProcessor', size_divisor=1)
        config['backbone'] = dict(type='CellMeans')
        config['decode_head'] = dict(type=head, in_channels=8, num_classes=81)
        if head == 'ErasingHead':
            config['decode_head']['channels'] = (4,)
        tta = MODELS.build(dict(type=kind, module=MODELS.build(config).eval()))
        labels = torch.zeros(80)
        labels[[3, 50]] = 1
        data = dict(inputs=[], data_samples=[])
        for size in ((240, 320), (480, 640), (720, 960), (960, 1280)):
            for flip in (False, True):
                meta = dict(flip=flip, flip_direction='horizontal', img_shape=size)
                sample = make_sample(labels.tolist(), ori_shape=(480, 640), **meta)
                data['inputs'].append([torch.rand(3, *size)])
                data['data_samples'].append([sample])
        with torch.no_grad():
            (sample,), peak = peak_memory(lambda: tta.test_step(data))
        assert sample.cam.maps.shape == (2, 480, 640)
        assert peak < 100 * 2**20, f'{peak / 2**20:.0f} MiB'

    def test_the_peak_is_seen(self, peak_memory):
        _, peak = peak_memory(lambda: [torch.zeros(2**20) for _ in range(3)] and None)
        assert 12 * 2**20 <= peak < 13 * 2**20
