"""SEAM, built from its config, against the released code's recorded numbers."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

import wsss_mm.models  # noqa: F401
from wsss_mm.convert.checkpoint_keys import to_reference
from wsss_mm.models.testing import predicted_maps
from wsss_mm.registry import MODELS

MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope='module')
def by_rule_a(network):
    model = network('net_seam_72x96')
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    return model


@pytest.fixture(scope='module')
def outputs(by_rule_a, reference_weights):
    image = reference_weights.network_input(1, 72, 96)
    with torch.no_grad():
        features = by_rule_a.extract_feat(image)
        head = by_rule_a.decode_head
        raw = head(features)
        refined, scores = predicted_maps(head, features, (72, 96))
        whole = head.refine(raw, features)
    return dict(features=features, raw=raw, refined=refined, whole=whole, s=scores)


def enlarge(maps):
    return nn.functional.interpolate(
        maps, (72, 96), mode='bilinear', align_corners=True
    )


class TestNetwork:
    def test_features(self, outputs, golden, assert_maps):
        recorded = golden('net_seam_72x96')
        for position, name in ((1, 'conv4'), (2, 'conv5'), (3, 'conv6')):
            assert_maps(outputs['features'][position], recorded[name])

    def test_cam(self, outputs, golden, assert_maps):
        assert_maps(enlarge(outputs['raw']), golden('net_seam_72x96')['cam'])

    def test_refined_cam(self, outputs, golden, assert_maps):
        recorded = golden('net_seam_72x96')['cam_rv']
        assert_maps(enlarge(outputs['whole']), recorded)
        assert_maps(outputs['refined'], recorded[:, 1:])

    def test_tag_scores_are_spatial_means(self, outputs):
        expected = outputs['raw'][:, 1:].mean(dim=(2, 3))
        torch.testing.assert_close(outputs['s'], expected)


# From here on rule B: the fixtures above must not be used any more.
@pytest.fixture(scope='module')
def by_rule_b(by_rule_a, reference_weights):
    return reference_weights.load_filled(
        by_rule_a, 'resnet38_seam', rule='b', classes=21
    )


@pytest.fixture(scope='module')
def step(by_rule_b, golden):
    """One training step: losses, and the gradients of two groups of them."""
    recorded = golden('e2e_seam_train_step')
    model = by_rule_b.train()
    samples = []
    for labels in recorded['label']:
        sample = SegDataSample()
        sample.image_labels = torch.from_numpy(labels)
        samples.append(sample)
    data = dict(inputs=list(torch.from_numpy(recorded['input'])), data_samples=samples)
    batch = model.data_preprocessor(data, True)
    losses = model.loss(batch['inputs'], batch['data_samples'])
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}

    def gradients(total, keep):
        found = torch.autograd.grad(
            total, list(named.values()), retain_graph=keep, allow_unused=True
        )
        return to_reference(dict(zip(named, found)), 'resnet38_seam')

    cam = gradients(losses['loss_cls'] + losses['loss_er'], keep=True)
    refined = gradients(losses['loss_ecr'] + losses['loss_min_pool'], keep=False)
    return {k: v.item() for k, v in losses.items()}, cam, refined, recorded


class TestTrainingStep:
    @pytest.mark.parametrize(
        ('ours', 'theirs'),
        [
            ('loss_cls', 'loss_cls'),
            ('loss_min_pool', 'loss_rvmin'),
            ('loss_er', 'loss_er'),
            ('loss_ecr', 'loss_ecr'),
        ],
    )
    def test_each_loss(self, step, ours, theirs):
        losses, _, _, recorded = step
        assert losses[ours] == pytest.approx(recorded[theirs].item(), rel=1e-4)

    def test_losses_sum_to_the_total(self, step):
        losses, _, _, recorded = step
        assert all('loss' in name for name in losses)
        assert sum(losses.values()) == pytest.approx(recorded['loss'].item(), rel=1e-4)

    def test_the_cam_losses_train_backbone_and_classifier(self, step):
        _, cam, _, recorded = step
        heads = {'f8_3.weight', 'f8_4.weight', 'f9.weight'}
        reached = {name for name, gradient in cam.items() if gradient is not None}
        assert reached == set(recorded['grad_names'].tolist()) - heads
        assert all(cam[name].any() for name in reached)

    def test_the_refinement_losses_train_the_embedding_alone(self, step):
        refined = step[2]
        reached = {name for name, gradient in refined.items() if gradient is not None}
        assert reached == {'f8_3.weight', 'f8_4.weight', 'f9.weight'}
        assert all(refined[name].any() for name in reached)

    def test_the_background_channel_gets_exactly_nothing(self, step):
        fc8 = step[1]['fc8.weight']
        assert not fc8[0].any()
        assert all(fc8[channel].any() for channel in range(1, 21))

    def test_gradient_norms(self, step):
        _, cam, refined, recorded = step
        norms = {
            name: (cam[name] if cam[name] is not None else refined[name]).norm().item()
            for name in recorded['grad_names'].tolist()
        }
        expected = dict(zip(recorded['grad_names'].tolist(), recorded['grad_norms']))
        assert norms == pytest.approx(expected, rel=1e-3)

    def test_single_gradients(self, step):
        _, cam, refined, recorded = step
        for gradient, name in (
            (cam['fc8.weight'][:, :64, 0, 0], 'grad_fc8'),
            (refined['f9.weight'][:, :, 0, 0], 'grad_f9'),
        ):
            expected = recorded[name]
            atol = 1e-4 * np.abs(expected).max()
            np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=atol)


def views(image, label):
    """The eight inputs of the released inference, made with PIL."""
    inputs, samples = [], []
    height, width = image.shape[:2]
    for scale in (0.5, 1.0, 1.5, 2.0):
        size = (round(width * scale), round(height * scale))
        resized = Image.fromarray(image).resize(size, Image.BICUBIC)
        values = ((np.asarray(resized) / 255.0 - MEAN) / STD).astype(np.float32)
        tensor = torch.from_numpy(values.transpose(2, 0, 1).copy())
        for flip in (False, True):
            sample = SegDataSample(
                metainfo=dict(
                    img_path='golden.jpg',
                    ori_shape=(height, width),
                    img_shape=tensor.shape[1:],
                    flip=flip,
                    flip_direction='horizontal',
                )
            )
            sample.image_labels = torch.from_numpy(label)
            inputs.append([tensor.flip(-1) if flip else tensor])
            samples.append([sample])
    return dict(inputs=inputs, data_samples=samples)


class TestInference:
    def test_eight_passes(self, root, by_rule_b, golden, assert_maps):
        recorded = golden('e2e_seam_infer')
        config = Config.fromfile(root / 'configs/seam/seam_r38_voc.py')
        by_rule_b.eval()
        tta = MODELS.build({**config.tta_model, 'module': by_rule_b})
        with torch.no_grad():
            (sample,) = tta.test_step(views(recorded['image'], recorded['label']))
        keys = recorded['keys'].tolist()
        cam = sample.cam.data
        assert_maps(cam[keys], recorded['cam'])
        absent = [c for c in range(20) if c not in keys]
        assert not cam[absent].any()
        # Released masks: the background is the constant 0.26.
        scores = np.concatenate(
            [np.full_like(recorded['cam'][:1], 0.26), recorded['cam']]
        )
        mask = np.array([0, *(key + 1 for key in keys)])[scores.argmax(axis=0)]
        disagree = sample.pred_sem_seg.data[0].numpy() != mask
        # Only pixels within the maps' tolerance of a tie may differ.
        ordered = np.sort(scores, axis=0)
        assert not disagree[ordered[-1] - ordered[-2] > 1e-4].any()
