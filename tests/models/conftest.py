import itertools

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.structures import SegDataSample
from torch import nn
from torch.profiler import ProfilerActivity, profile

import wsss_mm.models  # noqa: F401
from wsss_mm.registry import MODELS


@pytest.fixture(scope='session', autouse=True)
def mmseg_scope():
    """Registries look where a training run would."""
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')


@MODELS.register_module(force=True)
class TinyBackbone(BaseModule):
    """Three stages of 4, 6 and 8 channels, at strides 2, 4 and 4."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.stages = nn.ModuleList(
            [
                nn.Conv2d(3, 4, 3, stride=2, padding=1),
                nn.Conv2d(4, 6, 3, stride=2, padding=1),
                nn.Conv2d(6, 8, 3, padding=1),
            ]
        )

    def forward(self, image):
        self.calls.append(tuple(image.shape))
        outputs = []
        for stage in self.stages:
            image = torch.tanh(stage(image))
            outputs.append(image)
        return tuple(outputs)


@MODELS.register_module(force=True)
class CellMeans(BaseModule):
    """Three maps of 4, 6 and 8 channels at stride 8, without weights."""

    def forward(self, image):
        cells = torch.nn.functional.avg_pool2d(image, 8, ceil_mode=True)
        return tuple(cells.repeat(1, 3, 1, 1)[:, :width] for width in (4, 6, 8))


@pytest.fixture
def peak_memory():
    """Run something; give its result and the most bytes that torch held for it."""

    def measure(act):
        options = dict(activities=[ProfilerActivity.CPU], profile_memory=True)
        with profile(**options) as profiled:
            result = act()
        events = [
            event
            for event in profiled.profiler.kineto_results.events()
            if event.name() == '[memory]'
        ]
        clock = 'start_ns' if hasattr(events[0], 'start_ns') else 'start_us'
        events.sort(key=lambda event: getattr(event, clock)())
        held = itertools.accumulate(event.nbytes() for event in events)
        return result, max(held)

    return measure


@pytest.fixture
def calls_of():
    """Note the cells (h, w) of every forward pass of a head."""

    def watch(head):
        calls = []

        def note(module, inputs, output):
            calls.append(tuple(output.shape[-2:]))

        head.register_forward_hook(note)
        return calls

    return watch


@pytest.fixture
def model_config():
    """Give the config of a tiny CAM or SEAM network over three classes."""

    def give(method, **changes):
        config = dict(
            type='CAMEncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
            backbone=dict(type='TinyBackbone'),
            decode_head=dict(
                type='CAMHead', in_channels=8, num_classes=4, dropout_ratio=0.0
            ),
            test_cfg=dict(normalization='max', background_threshold=0.2),
        )
        if method == 'seam':
            config['data_preprocessor'] = dict(
                type='EquivariantViews',
                preprocessor=config['data_preprocessor'],
                scale=0.5,
            )
            config['neck'] = dict(
                type='PCMNeck',
                in_channels=(6, 8),
                in_indices=(1, 2),
                mid_channels=(4, 4),
                out_channels=8,
            )
            config['decode_head']['type'] = 'SEAMHead'
            config['test_cfg']['normalization'] = 'min_max'
        return {**config, **changes}

    return give


@pytest.fixture
def build_model(model_config):
    """Build a tiny network with the same weights every time."""

    def build(method, **changes):
        torch.manual_seed(0)
        model = MODELS.build(model_config(method, **changes))
        model.init_weights()
        return model

    return build


@pytest.fixture
def make_sample():
    """Make a sample that carries tags."""

    def make(labels, **metainfo):
        sample = SegDataSample(metainfo=dict(img_path='pond.jpg', **metainfo))
        if labels is not None:
            sample.image_labels = torch.tensor(labels, dtype=torch.float32)
        return sample

    return make
