"""The retraining configs: they fit together, and train, score and fuse scales."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import wsss_mm.models  # noqa: F401
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.registry import MODELS, TRANSFORMS

NAMES = (
    'seam_r38_voc_deeplabv1',
    'seam_r38_voc_deeplabv2_r101',
    'seam_r38_voc_deeplabv3plus_r50',
)


def load(root, name):
    init_default_scope('mmseg')
    return Config.fromfile(root / f'configs/seam/{name}.py')


@pytest.mark.parametrize('name', NAMES)
def test_parts_fit_together(root, name):
    cfg = load(root, name)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.num_classes == model.out_channels == 21
    pipeline = cfg.train_dataloader.dataset.pipeline
    types = [step.type for step in pipeline]
    crop = pipeline[types.index('RandomCropPad')].crop_size
    assert tuple(cfg.model.data_preprocessor.size) == tuple(crop)
    # Images are normalised in the pipeline, and nowhere else.
    assert 'NormalizeFloat' in types
    assert not model.data_preprocessor._enable_normalize
    assert cfg.train_dataloader.dataset.data_prefix.seg_map_path == cfg.pseudo_masks
    assert 'RandomHSVShift' not in types or name.endswith('deeplabv1')
    for step in (*pipeline, *cfg.tta_pipeline):
        TRANSFORMS.build(step)


@pytest.mark.parametrize(('name', 'stride'), zip(NAMES, (8, 8, 16)))
def test_output_strides(root, name, stride):
    cfg = load(root, name)
    with torch.device('meta'):
        last = MODELS.build(cfg.model.backbone)(torch.zeros(1, 3, 64, 96))[-1]
    assert last.shape[-2:] == (64 // stride, 96 // stride)


@pytest.fixture
def shrunk(root, tmp_path):
    """The DeepLabV3+ recipe on four small images without pretrained weights."""
    data = write_synth_voc(tmp_path / 'data', train=4, val=2, size=64)
    cfg = load(root, 'seam_r38_voc_deeplabv3plus_r50')
    synth = Config.fromfile(root / 'configs/_base_/datasets/synth_voc_seg.py')
    for part in ('train', 'val', 'test'):
        loader, source = cfg[f'{part}_dataloader'], synth[f'{part}_dataloader']
        source.dataset.pipeline = loader.dataset.pipeline
        loader.dataset = source.dataset
        loader.dataset.data_root = str(data)
        loader.num_workers, loader.persistent_workers = 0, False
    cfg.train_dataloader.dataset.data_prefix.seg_map_path = 'SegmentationClass'
    cfg.train_dataloader.batch_size = 2
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'RandomCropPad':
            step.crop_size = 64
    cfg.model.data_preprocessor.size = (64, 64)
    cfg.model.backbone.init_cfg = None
    cfg.model.decode_head.num_classes = synth.num_classes
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'work_dir': str(tmp_path),
        }
    )
    return cfg


def test_the_recipe_trains_and_fuses_scales(shrunk):
    runner = Runner.from_cfg(shrunk)
    before = runner.model.decode_head.conv_seg.weight.detach().clone()
    runner.train()
    assert not torch.equal(runner.model.decode_head.conv_seg.weight, before)
    scalars = runner.message_hub.log_scalars
    losses, _ = scalars['train/decode.loss_ce'].data
    assert len(losses) == 2
    assert all(0 < loss < 100 for loss in losses)
    # The rate of the step that would come next.
    assert runner.optim_wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(
        0.007 * (1 - 2 / 30000) ** 0.9
    )
    dataset = runner.build_dataloader(
        {
            **shrunk.test_dataloader,
            'dataset': {
                **shrunk.test_dataloader.dataset,
                'pipeline': shrunk.tta_pipeline,
            },
        }
    )
    tta = MODELS.build({**shrunk.tta_model, 'module': runner.model}).eval()
    with torch.no_grad():
        (sample,) = tta.test_step(next(iter(dataset)))
    assert sample.pred_sem_seg.data.shape == (1, *sample.ori_shape)
    assert sample.seg_logits.data.shape == (9, *sample.ori_shape)
    assert torch.equal(
        sample.pred_sem_seg.data[0], sample.seg_logits.data.argmax(dim=0)
    )
    assert sample.gt_sem_seg.data.shape == sample.pred_sem_seg.data.shape
