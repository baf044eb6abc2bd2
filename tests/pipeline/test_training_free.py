"""A method that needs no training is one like the others, without a first stage."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from wsss_mm import CAMInferencer, InputError, generate_cams, run_method, train
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.io.cam_file import load_cam

METHOD = """
import torch
from wsss_mm.models.decode_heads.base_cam_head import BaseCAMHead
from wsss_mm.registry import MODELS


@MODELS.register_module()
class {name}(BaseCAMHead):
    '''Call what is far from the mean colour of the image foreground.'''

    trainable = False

    def compute_cam(self, context, view='full'):
        image = context.views[view].image
        far = (image - image.mean(dim=(2, 3), keepdim=True)).abs().sum(1, keepdim=True)
        cells = torch.nn.functional.adaptive_avg_pool2d(
            far, context.features[view][-1].shape[-2:]
        )
        return cells.expand(-1, self.num_foreground, -1, -1)
"""
CONFIG = """
_base_ = '{root}/configs/cam/cam_r18_synth.py'
custom_imports = dict(
    imports=[
        'wsss_mm.datasets',
        'wsss_mm.engine',
        'wsss_mm.evaluation',
        'wsss_mm.models',
        'wsss_mm.refinement',
        '{module}',
    ],
    allow_failed_imports=False,
)
model = dict(
    backbone=dict(stem_channels=4, base_channels=4),
    decode_head=dict(
        _delete_=True, type='{name}', num_classes={{{{_base_.num_classes}}}}
    ),
)
load_from = None
train_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0)
"""
SEGMENTER = """
_base_ = '{root}/configs/cam/cam_r18_synth_deeplabv2.py'
model = dict(
    backbone=dict(stem_channels=4, base_channels=4, init_cfg=None),
    decode_head=dict(in_channels=32),
)
train_dataloader = dict(num_workers=0, batch_size=2)
train_cfg = dict(max_iters=2, val_interval=2)
test_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0)
"""


@pytest.fixture(scope='module')
def method(root, tmp_path_factory):
    """A folder with data, the method's module and configs; ours while the tests run."""
    folder = tmp_path_factory.mktemp('training_free')
    write_synth_voc(folder / 'data/synth_voc', train=6, val=2, size=64)
    names = dict(name='FarColourHead', module='far_colour', root=root)
    (folder / 'far_colour.py').write_text(METHOD.format(**names))
    (folder / 'far_colour_synth.py').write_text(CONFIG.format(**names))
    (folder / 'far_colour_synth_deeplabv2.py').write_text(SEGMENTER.format(**names))
    return folder


@pytest.fixture
def here(method, root, monkeypatch):
    paths = f'{method}{os.pathsep}{root}'
    monkeypatch.setenv('PYTHONPATH', paths)
    monkeypatch.syspath_prepend(str(method))
    monkeypatch.chdir(method)
    return method


def test_cams_without_a_checkpoint(here):
    made = generate_cams('far_colour_synth.py', out='out')
    assert made.images == 8
    files = sorted(made.cams.glob('*.npz'))
    assert len(files) == 8
    maps = [load_cam(file)[1] for file in files]
    assert all(cams.max() > 0.5 for cams in maps)
    # Again: nothing is left to do, and nothing is asked for.
    assert generate_cams('far_colour_synth.py', out='out') == made


def test_a_picture(here):
    inferencer = CAMInferencer('far_colour_synth.py', threshold=0.6)
    image = next((here / 'data/synth_voc/JPEGImages').glob('*.jpg'))
    (result,) = inferencer(image, tags=['ring'])
    assert result.classes == ('ring',)
    assert 0 < (result.mask == result.class_names.index('ring')).mean() < 1


def test_the_pipeline_begins_at_the_cams(here):
    result = run_method('far_colour_synth.py', work_dir='work', workers=0)
    assert list(result['seconds']) == [
        *('gen_pseudo', 'eval_cam', 'eval_pseudo_mask'),
        *('train_segmenter', 'test_segmenter'),
    ]
    assert not (here / 'work/cam').exists()
    on_disk = json.loads((here / 'work/results.json').read_text())
    assert on_disk['stages']['cam']['mIoU'] == result['stages']['cam']['mIoU'] > 5
    masks = [np.array(Image.open(p)) for p in (here / 'work/masks').glob('*.png')]
    assert len(masks) == 8
    assert any(mask.any() for mask in masks)


def test_the_script_takes_no_checkpoint(here, root):
    tool = str(root / 'tools/gen_pseudo.py')
    done = subprocess.run(
        [sys.executable, tool, 'far_colour_synth.py', '--out', 'script'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((here / 'script/masks').glob('*.png'))) == 8


def test_training_it_is_refused(here):
    with pytest.raises(InputError, match='FarColourHead needs no training'):
        train('far_colour_synth.py', work_dir='trained')
