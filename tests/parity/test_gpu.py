"""Goldens, mixed precision and refiners on a GPU: ``pytest -m gpu``.

The recorded numbers are of a CPU. A GPU adds up in another order, so that limits are
ten times wider than beside it; TensorFloat-32, which is wider still, is off.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import AmpOptimWrapper
from mmseg.structures import SegDataSample

import wsss_mm.models
import wsss_mm.refinement  # noqa: F401
from wsss_mm.functional import pair_offsets, par, pixel_correlation, psa_pairs
from wsss_mm.functional.random_walk import random_walk
from wsss_mm.models.testing import predicted_maps
from wsss_mm.refinement import DenseAffinity, EdgeAffinity, LocalAffinity, Seed
from wsss_mm.registry import TASK_UTILS

pytestmark = pytest.mark.gpu
DEVICE = 'cuda'


@pytest.fixture(autouse=True)
def whole_precision():
    """Neither convolutions nor products may round their inputs to 10 bits."""
    parts = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [part.allow_tf32 for part in parts]
    for part in parts:
        part.allow_tf32 = False
    yield
    for part, value in zip(parts, before):
        part.allow_tf32 = value


def near(actual, expected, *, rtol=1e-3, atol=1e-4):
    """Compare what a GPU gave; `atol` is in parts of the largest value."""
    actual, expected = actual.float().cpu(), torch.as_tensor(expected).float()
    scale = expected.abs().max().item()
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol * scale)


class TestGoldens:
    def test_seam(self, network, reference_weights, golden):
        recorded = golden('net_seam_72x96')
        model = network('net_seam_72x96').to(DEVICE)
        image = reference_weights.network_input(1, 72, 96).to(DEVICE)
        with torch.no_grad():
            features = model.extract_feat(image)
            raw = model.decode_head(features)
            refined, _ = predicted_maps(model.decode_head, features, (72, 96))
        near(features[3], recorded['conv6'])
        whole = F.interpolate(raw, (72, 96), mode='bilinear', align_corners=True)
        near(whole, recorded['cam'])
        refined = F.interpolate(refined, (72, 96), mode='bilinear', align_corners=True)
        near(refined, recorded['cam_rv'][:, 1:])

    @pytest.mark.parametrize('backbone', ['resnet50', 'resnest50'])
    def test_puzzle_cam(self, backbone, network, reference_weights, golden):
        stem = f'net_puzzle_{backbone}_96x128'
        model = network(stem).to(DEVICE)
        image = reference_weights.network_input(1, 96, 128).to(DEVICE)
        with torch.no_grad():
            features = model.extract_feat(image)
            near(model.decode_head(features), golden(stem)['features'])
            _, logits = predicted_maps(model.decode_head, features, (96, 128))
        near(logits, golden(stem)['logits'])

    def test_affinities(self, network, reference_weights, golden):
        stem = 'net_psa_resnet38_aff_104x120'
        model = network(stem).to(DEVICE)
        image = reference_weights.network_input(1, 104, 120).to(DEVICE)
        with torch.no_grad():
            found = model.decode_head.affinity(model.extract_feat(image))[0].cpu()
        pairs = found[psa_pairs(13, 15, 5)].view(1, 34, 63)
        near(pairs, golden(stem)['aff'])

    def test_edges(self, network, reference_weights, golden):
        stem = 'net_puzzle_affnet_r50_96x128'
        model = network(stem).to(DEVICE)
        image = reference_weights.network_input(1, 96, 128).to(DEVICE)
        with torch.no_grad():
            near(model(image), golden(stem)['edge'])

    @pytest.mark.parametrize(
        ('stem', 'config', 'layout', 'classes', 'losses'),
        [
            (
                'e2e_seam_train_step',
                'seam/seam_r38_voc.py',
                'resnet38_seam',
                21,
                dict(
                    loss_cls='loss_cls',
                    loss_min_pool='loss_rvmin',
                    loss_er='loss_er',
                    loss_ecr='loss_ecr',
                ),
            ),
            (
                'e2e_puzzle_train_step',
                'puzzle_cam/puzzle_cam_r50_voc.py',
                'puzzle_resnet50',
                20,
                dict(loss_cls='loss_cls', loss_p_cls='loss_p_cls'),
            ),
        ],
    )
    def test_losses_of_a_step(self, stem, config, layout, classes, losses, *, request):
        build, golden = (request.getfixturevalue(n) for n in ('build_config', 'golden'))
        weights, recorded = request.getfixturevalue('reference_weights'), golden(stem)
        model = build(config)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout2d):
                module.p = 0.0
        weights.load_filled(model, layout, rule='b', classes=classes)
        model = model.to(DEVICE)
        model = model.train() if 'seam' in stem else model.eval()
        samples = []
        for labels in recorded['label']:
            sample = SegDataSample()
            sample.image_labels = torch.from_numpy(labels)
            samples.append(sample)
        images = list(torch.from_numpy(recorded['input']))
        batch = model.data_preprocessor(dict(inputs=images, data_samples=samples), True)
        found = model.loss(batch['inputs'], batch['data_samples'])
        for ours, theirs in losses.items():
            expected = recorded[theirs].item()
            assert found[ours].item() == pytest.approx(expected, rel=1e-3)

    def test_pixel_correlation(self, golden):
        v = {k: torch.from_numpy(a).to(DEVICE) for k, a in golden('seam_pcm').items()}
        near(pixel_correlation(v['cam'], F.conv2d(v['f'], v['f9'])), v['out'].cpu())

    def test_par(self, golden):
        v = {k: torch.from_numpy(a) for k, a in golden('weclip_unit_par').items()}
        image, mask = v['img'].to(DEVICE), v['mask'].to(DEVICE)
        near(par(image, mask, iterations=20), v['out_it20'])

    def test_random_walk(self, golden):
        recorded = golden('psa_rw_9x11')
        affinity = torch.zeros(34, 9, 11)
        inner = affinity[:, :5, 4:7]
        inner.copy_(torch.from_numpy(recorded['aff'][0]).view(inner.shape))
        offsets = [(0, dx) for dx in range(1, 5)] + [
            (dy, dx)
            for dy in range(1, 5)
            for dx in range(-4, 5)
            if dx * dx + dy * dy < 25
        ]
        scores = torch.from_numpy(recorded['cams']).view(21, 9, 11).to(DEVICE)
        found = random_walk(scores, affinity.to(DEVICE), offsets, beta=8, steps=64)
        near(found, recorded['rw'][0])


# --- Refiners: every one that computes on a device, beside itself on the CPU.
STEPS = {
    'PAMRRefiner': dict(iterations=5),
    'PARRefiner': dict(iterations=5),
    'RandomWalkRefiner': dict(beta=4, steps=16),
    'EdgeWalkRefiner': dict(beta=4, steps=16),
    'WalkCRFRefiner': dict(beta=4, steps=16, num_labels=6),
}


def a_seed(device, kind=None):
    """Give a seed whose affinity, if of a kind, lies on a device."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (44, 59, 3), dtype=np.uint8)
    scores = rng.random((3, 44, 59), dtype=np.float32)
    affinity = None
    size, offsets = (6, 8), pair_offsets(3)
    draw = torch.Generator().manual_seed(0)
    weights = torch.rand(len(offsets), *size, generator=draw).to(device)
    edge = torch.rand(size, generator=draw).to(device)
    if kind == 'local':
        affinity = LocalAffinity(weights, tuple(offsets), 8)
    elif kind == 'edge':
        affinity = EdgeAffinity(weights, tuple(offsets), 8, edge=edge)
    return Seed(image, np.array([1, 4]), scores, affinity)


@pytest.mark.parametrize('name', STEPS)
def test_a_refiner_gives_the_masks_of_the_cpu(name):
    if name == 'WalkCRFRefiner':
        pytest.importorskip('pydensecrf')
    refiner = TASK_UTILS.get(name)
    walks = getattr(refiner, 'needs_affinity', False)
    kind = ('edge' if name == 'EdgeWalkRefiner' else 'local') if walks else None
    scores = []
    for device in ('cpu', DEVICE):
        where = {} if walks else dict(device=device)
        scores.append(refiner(**STEPS[name], **where)(a_seed(device, kind)).scores)
    near(torch.from_numpy(scores[1]), scores[0], atol=1e-4)


def test_every_refiner_that_computes_on_a_device_is_here():
    found = {
        name
        for name, refiner in TASK_UTILS.module_dict.items()
        if getattr(refiner, '__module__', '').startswith('wsss_mm.refinement')
        and (
            getattr(refiner, 'needs_affinity', False)
            or 'device' in getattr(refiner, '__dataclass_fields__', {})
        )
    }
    assert found == set(STEPS)


def test_dense_affinity():
    draw = torch.Generator().manual_seed(0)
    matrix = torch.rand(48, 48, generator=draw)
    scores = torch.rand(2, 6, 8, generator=draw)
    near(
        DenseAffinity(matrix.to(DEVICE), (6, 8), 8, beta=2, steps=3).propagate(
            scores.to(DEVICE)
        ),
        DenseAffinity(matrix, (6, 8), 8, beta=2, steps=3).propagate(scores),
    )


# --- Mixed precision: a step of every method that ships a small network.
METHODS = (
    'cam/cam_r18_synth.py',
    'puzzle_cam/puzzle_cam_r18_synth.py',
    'puzzle_cam/puzzle_seam_r18_synth.py',
    'seam/seam_r18_synth.py',
    'seenet/erasing_seam_r18_synth.py',
    'seenet/seenet_r18_synth.py',
)


def batch_of(classes, size=64):
    """Give two images with tags, as a data loader does."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, size, size), generator=draw)
    samples = []
    for one in range(2):
        sample = SegDataSample(
            metainfo=dict(
                img_path='pond.jpg', ori_shape=(size, size), img_shape=(size, size)
            )
        )
        sample.image_labels = torch.zeros(classes)
        sample.image_labels[[one, one + 1]] = 1
        samples.append(sample)
    return dict(inputs=list(images.to(torch.uint8)), data_samples=samples)


def thin_network(build_config, config):
    """Build a method's network with the same weights every time."""
    torch.manual_seed(0)
    model = build_config(config)
    model.init_weights()
    return model.to(DEVICE)


@pytest.mark.parametrize('config', METHODS)
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_a_step_in_mixed_precision(config, dtype, build_config):
    losses = {}
    for precision in ('float32', dtype):
        model = thin_network(build_config, config).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        wrapper = AmpOptimWrapper(
            'dynamic',
            dtype=None if precision == 'float32' else precision,
            optimizer=optimizer,
        )
        before = [p.detach().clone() for p in model.parameters()]
        torch.manual_seed(1)
        data = model.data_preprocessor(batch_of(model.decode_head.num_foreground), True)
        if precision == 'float32':
            total, _ = model.parse_losses(model.loss(*data.values()))
        else:
            # float16 starts with a scale that overflows: such a step is left out, and
            # the scale halved, until one fits.
            for _ in range(16):
                with wrapper.optim_context(model):
                    total, _ = model.parse_losses(model.loss(*data.values()))
                wrapper.update_params(total)
                changed = [
                    not torch.equal(old, new)
                    for old, new in zip(before, model.parameters())
                ]
                if any(changed):
                    break
            assert any(changed)
            assert all(p.isfinite().all() for p in model.parameters())
        losses[precision] = total.item()
    assert math.isfinite(losses[dtype])
    assert losses[dtype] == pytest.approx(losses['float32'], rel=0.1)


@pytest.mark.parametrize('config', METHODS)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_cams_in_mixed_precision(config, dtype, build_config):
    model = thin_network(build_config, config).eval()
    cams = []
    for half in (False, True):
        data = batch_of(model.decode_head.num_foreground)
        with torch.no_grad(), torch.autocast(DEVICE, dtype, enabled=half):
            found = model.test_step(data)
        cams.append(torch.stack([one.cam.data for one in found]))
    assert cams[1].dtype == torch.float32
    assert cams[1].isfinite().all()
    assert (cams[0] - cams[1]).abs().mean() < 0.05
