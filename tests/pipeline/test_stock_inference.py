"""MMSegmentation's own inference gives the masks of ours, from a path and an array.

Arrays are BGR by its contract. Its tools take the config that training left in the work
folder, which a later test with several scales must not spoil.
"""

import subprocess
import sys
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.apis import MMSegInferencer, inference_model, init_model

from wsss_mm.registry import DATASETS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LEAVES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
THIN = {
    'model.backbone.stem_channels': 4,
    'model.backbone.base_channels': 4,
    'model.backbone.init_cfg': None,
    'model.decode_head.in_channels': 32,
    'train_dataloader.batch_size': 2,
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'load_from': None,
}


@pytest.fixture(
    scope='module', params=['cam/cam_r18_synth', 'supervised/deeplabv2_r18_synth']
)
def trained(request, synth, tmp_path_factory):
    """The work folder of a thin network, CAM or segmenter, trained two steps."""
    init_default_scope('mmseg')
    work = tmp_path_factory.mktemp('work')
    cfg = Config.fromfile(CONFIGS / f'{request.param}.py')
    options = dict(THIN, work_dir=str(work))
    for split in ('train', 'val', 'test'):
        options[f'{split}_dataloader.dataset.data_root'] = str(synth)
        options[f'{split}_dataloader.num_workers'] = 0
        options[f'{split}_dataloader.persistent_workers'] = False
    cfg.merge_from_dict(options)
    Runner.from_cfg(cfg).train()
    return work / Path(cfg.filename).name, work / 'iter_2.pth'


@pytest.fixture
def pictures(synth):
    return sorted(str(path) for path in (synth / 'JPEGImages').iterdir())


def masks_of_ours(config, checkpoint, paths):
    """Run our dataset and the network, without tags."""
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.tags = None
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model = init_model(str(config), str(checkpoint), device='cpu')
    found = {}
    for index in range(len(dataset)):
        item = dataset[index]
        data = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
        with torch.no_grad():
            (sample,) = model.test_step(data)
        found[sample.img_path] = sample.pred_sem_seg.data[0].numpy()
    listed = [path for path in paths if path in found]
    assert len(listed) == len(dataset) >= 2
    return {path: found[path] for path in listed}


def stock_masks(config, checkpoint, images):
    """Run MMSegmentation's function on a fresh model."""
    model = init_model(str(config), str(checkpoint), device='cpu')
    # One by one: it would stack images of different sizes.
    samples = [inference_model(model, image) for image in images]
    return [sample.pred_sem_seg.data[0].numpy() for sample in samples]


def check_masks(config, checkpoint, paths):
    expected = masks_of_ours(config, checkpoint, paths)
    paths = list(expected)
    arrays = [mmcv.imread(path) for path in paths]
    inferencer = MMSegInferencer(str(config), str(checkpoint), device='cpu')
    for masks in (
        stock_masks(config, checkpoint, paths),
        stock_masks(config, checkpoint, arrays),
        inferencer(paths)['predictions'],
        inferencer(arrays)['predictions'],
    ):
        for path, mask in zip(paths, masks, strict=True):
            np.testing.assert_array_equal(mask, expected[path])
    # The network would notice the channels swapped.
    swapped = [np.ascontiguousarray(array[..., ::-1]) for array in arrays]
    wrong = stock_masks(config, checkpoint, swapped)
    assert any((mask != expected[path]).any() for path, mask in zip(paths, wrong))


def test_all_ways_give_one_mask(trained, pictures):
    check_masks(*trained, pictures)


def test_a_test_with_several_scales_leaves_the_config(root, trained, pictures):
    config, checkpoint = trained
    before = config.read_text()
    commands = {'tta': ['tools/test.py', '--tta']}
    if config.stem.startswith('cam'):
        commands['tta_cams'] = ['tools/gen_pseudo.py', '--out', str(config.parent)]
    for suffix, (tool, *options) in commands.items():
        files = [tool, str(config), str(checkpoint)]
        done = subprocess.run(
            [sys.executable, *files, *options, '--work-dir', str(config.parent)],
            cwd=root,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert config.read_text() == before
        dumped = Config.fromfile(config.with_name(f'{config.stem}_{suffix}.py'))
        assert dumped.model.module == Config.fromfile(config).model
    check_masks(config, checkpoint, pictures)


@pytest.mark.parametrize('name', LEAVES)
def test_the_stock_inferencer_takes_every_config(name, pictures):
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIGS / name)
    # The pipeline alone: weights are not at hand.
    inferencer = MMSegInferencer.__new__(MMSegInferencer)
    pipeline = inferencer._init_pipeline(cfg)
    from_path = pipeline(pictures[0])
    from_array = pipeline(mmcv.imread(pictures[0]))
    assert from_path['inputs'].shape[0] == 3
    assert torch.equal(from_path['inputs'], from_array['inputs'])
    assert from_array['data_samples'].ori_shape == from_path['data_samples'].ori_shape
