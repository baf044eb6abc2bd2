"""Every config that is shipped parses, builds, and fits its dataset."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import wsss_mm.models  # noqa: F401
from wsss_mm.apis.refine import chain_steps, needs_affinity, training_scores
from wsss_mm.refinement import build_chain
from wsss_mm.registry import DATASETS, MODELS, PARAM_SCHEDULERS, TRANSFORMS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
LEAVES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
SMALL = [name for name in LEAVES if re.search('r18_synth|mbv2|lite0', name)]
TRANSFORMERS = [name for name in LEAVES if '_deits16_' in name or '_dinov2s14_' in name]
TRANSFORMERS = [name for name in TRANSFORMERS if not name.startswith('weclip/')]


def load(name):
    init_default_scope('mmseg')
    return Config.fromfile(CONFIGS / name)


def needs_training(cfg):
    return getattr(MODELS.get(cfg.model.decode_head.type), 'trainable', True)


def of_own_images(cfg):
    return cfg.dataset_type == 'ImageLabelDataset'


def trains_from_tags(cfg):
    kinds = ('CAMEncoderDecoder', 'AffinityNet', 'WeCLIP', 'WeCLIPPlus')
    return cfg.model.type in kinds


def predicts_from_tags(cfg):
    return trains_from_tags(cfg) and not cfg.model.type.startswith('WeCLIP')


def building_on(cfg):
    """No memory for weights, but for MMSegmentation's ViT, which reads some."""
    vit = any(
        name in cfg.model.backbone.type for name in ('VisionTransformer', 'CLIP', 'ViT')
    )
    return torch.device('cpu' if vit else 'meta')


def finds_affinities(cfg):
    return cfg.model.type == 'AffinityNet'


def splits(cfg):
    return ('train', 'test') if finds_affinities(cfg) else ('train', 'val', 'test')


def build_without_pretrained(cfg):
    cfg.model.backbone.init_cfg = None
    if 'TIMM' in cfg.model.backbone.type:
        pytest.importorskip('timm')
    return MODELS.build(cfg.model)


def test_there_are_configs_of_every_kind():
    assert len(LEAVES) >= 15
    assert len(SMALL) >= 8
    assert {name.split('/')[0] for name in LEAVES} >= {'cam', 'seam', 'supervised'}


@pytest.mark.parametrize('name', LEAVES)
def test_its_parts_exist_and_fit(name):
    cfg = load(name)
    with building_on(cfg):
        model = build_without_pretrained(cfg)
    meta = cfg.train_dataloader.dataset.get('metainfo')
    classes = (meta or DATASETS.get(cfg.dataset_type).METAINFO)['classes']
    assert len(classes) == cfg.num_classes
    if not finds_affinities(cfg):
        assert model.decode_head.num_classes == cfg.num_classes
    assert {'img_path'} <= set(cfg.train_dataloader.dataset.data_prefix)
    for split in splits(cfg):
        dataset = cfg[f'{split}_dataloader'].dataset
        assert dataset.type == cfg.dataset_type
        for step in dataset.pipeline:
            TRANSFORMS.build(step)
    if finds_affinities(cfg):
        # A random walk has one scale; nothing can be scored.
        assert 'val_dataloader' not in cfg
        assert 'tta_model' not in cfg
        check_seed_steps(cfg, model)
    else:
        for step in cfg.tta_pipeline:
            TRANSFORMS.build(step)
        assert MODELS.get(cfg.tta_model.type) is not None
    if not needs_training(cfg):
        assert not {'train_cfg', 'optim_wrapper', 'param_scheduler'} & set(cfg)
        return
    for schedule in cfg.param_scheduler:
        assert PARAM_SCHEDULERS.get(schedule.type) is not None
    # The last schedule ends with the training, or one step behind.
    assert cfg.param_scheduler[-1].end - cfg.train_cfg.max_iters in (0, 1)


def check_seed_steps(cfg, model):
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert 'LoadSeedScores' in steps
    assert cfg.train_dataloader.dataset.data_prefix.seed_scores_path == 'seed_scores'
    # Scores are averaged over cells; labels of pixels are thinned out afterwards.
    thinned = steps['ThinSeed'].cell if 'ThinSeed' in steps else 1
    assert steps['SeedFromScores'].cell * thinned == model.stride
    height, width = steps['RandomCropPad'].crop_size
    with torch.device('meta'):
        # meta tensors have no mask to index: the embedding's size is enough.
        out = model(torch.zeros(1, 3, height, width))
    assert out.shape[-2:] == (height // model.stride, width // model.stride)


def steps_of(pipeline):
    """Every step of a pipeline, those inside a step included."""
    for step in pipeline:
        for inner in step.get('transforms', []):
            yield from steps_of(inner)
        yield step


@pytest.mark.parametrize('name', LEAVES)
def test_no_step_is_shared_between_splits(name):
    """An option for a step of one split must not reach another."""
    cfg = load(name)
    pipelines = {
        split: cfg[f'{split}_dataloader'].dataset.pipeline for split in splits(cfg)
    }
    pipelines |= {
        key: cfg[key] for key in ('test_pipeline', 'tta_pipeline') if key in cfg
    }
    places = [
        {id(step) for step in steps_of(pipeline)} for pipeline in pipelines.values()
    ]
    assert len(set.union(*places)) == sum(map(len, places))


@pytest.mark.parametrize('name', LEAVES)
def test_images_arrive_as_mmsegmentation_s_tools_load_them(name):
    cfg = load(name)
    pipelines = [cfg[f'{split}_dataloader'].dataset.pipeline for split in splits(cfg)]
    pipelines += [cfg[key] for key in ('test_pipeline', 'tta_pipeline') if key in cfg]
    for pipeline in pipelines:
        assert pipeline[0] == dict(type='LoadImageFromFile', imdecode_backend='pillow')
        assert pipeline[1] == dict(type='BGRToRGB')


@pytest.mark.parametrize('name', LEAVES)
def test_only_retraining_and_evaluation_name_masks(name):
    cfg = load(name)
    data = cfg.train_dataloader.dataset
    steps = [step.type for step in data.pipeline]
    assert 'LoadEvaluationMask' not in steps
    if trains_from_tags(cfg):
        assert data.data_prefix.seg_map_path is None
        assert data.tags is not None
        assert data.get('tag_source') != 'masks'
        assert 'LoadTrainingMask' not in steps
        # Tags reach CAM inference too; nothing true does. A segmenter needs none.
        expected = data.tags if predicts_from_tags(cfg) else None
        assert cfg.test_dataloader.dataset.tags == expected
    else:
        assert 'LoadTrainingMask' in steps
        truth = cfg.val_dataloader.dataset.data_prefix.seg_map_path
        assert truth is not None or of_own_images(cfg)
        trained_on = data.data_prefix.seg_map_path
        supervised = name.startswith('supervised/')
        assert (trained_on == truth) is supervised
        if not supervised:
            assert trained_on == cfg.pseudo_masks


@pytest.mark.parametrize('name', LEAVES)
def test_a_test_image_is_never_trained_on(name):
    cfg = load(name)
    if of_own_images(cfg):
        return  # it has no lists of its own
    trained = cfg.train_dataloader.dataset.ann_file
    # COCO has no additional images; of voc_320 the later stages learn from `train`,
    # which has the CAMs that are scored.
    later = 'voc_320_' in name or name.startswith('supervised/deeplabv2_lite0')
    coco = cfg.dataset_type == 'COCOImageLabelDataset'
    assert trained.endswith('/train.txt' if coco or later else '/trainaug.txt')
    expected = 'train.txt' if predicts_from_tags(cfg) else 'val.txt'
    for split in splits(cfg)[1:]:
        assert Path(cfg[f'{split}_dataloader'].dataset.ann_file).name == expected


# Half of 112 is whole patches of 14, half of 96 of 16 pixels.
SIDES = {'dinov2s14': 112, 'deits16': 96}


@pytest.mark.parametrize('name', TRANSFORMERS)
def test_a_step_of_a_vision_transformer(name):
    check_a_step(name, next(side for kind, side in SIDES.items() if kind in name))


@pytest.mark.parametrize('name', TRANSFORMERS)
def test_crops_and_views_are_whole_patches(name):
    cfg = load(name)
    patch = cfg.model.backbone.patch_size
    (crop,) = (
        step.crop_size
        for step in cfg.train_dataloader.dataset.pipeline
        if step.type == 'RandomCropPad'
    )
    model = build_without_pretrained(cfg)
    inputs = list(torch.zeros(1, 3, *crop))
    batch = dict(inputs=inputs, data_samples=[SegDataSample()])
    views = model.data_preprocessor(batch, True)['inputs']
    images = [one.image for one in views.values()] if isinstance(views, dict) else views
    for image in images:
        assert all(side % patch == 0 for side in image.shape[-2:])


@pytest.mark.parametrize('name', SMALL)
def test_a_step_forward_and_back(name):
    check_a_step(name, 64)


def check_a_step(name, side):
    torch.manual_seed(0)
    cfg = load(name)
    model = build_without_pretrained(cfg)
    model.init_weights()
    model.train()
    samples = []
    rng = np.random.default_rng(0)
    for _ in range(2):
        sample = SegDataSample(
            metainfo=dict(
                img_path='a.jpg', ori_shape=(side, side), img_shape=(side, side)
            )
        )
        labels = torch.zeros(cfg.num_classes - 1)
        labels[rng.choice(cfg.num_classes - 1, 2, replace=False)] = 1
        sample.image_labels = labels
        mask = torch.from_numpy(rng.integers(0, cfg.num_classes, (1, side, side)))
        sample.gt_sem_seg = PixelData(data=mask)
        if finds_affinities(cfg):
            cell = model.stride
            sample.gt_affinity_seed = PixelData(data=mask[:, ::cell, ::cell])
        samples.append(sample)
    data = dict(inputs=list(torch.randn(2, 3, side, side)), data_samples=samples)
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total)
    assert total > 0
    total.backward()
    for parameter, weight in model.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, parameter
    last = list(model.decode_head.parameters())[-1]
    assert last.grad.any()
    model.eval()
    with torch.no_grad():
        found = model.test_step(data)
    if finds_affinities(cfg):
        cells = 64 // model.stride
        for sample in found:
            affinity = sample.affinity.data
            assert affinity.shape == (len(model.offsets), cells, cells)
            assert 0 <= affinity.min() < affinity.max() <= 1
        return
    for sample in found:
        mask = sample.pred_sem_seg.data
        assert mask.shape == (1, side, side)
        assert 0 <= mask.min() <= mask.max() < cfg.num_classes
        if trains_from_tags(cfg):
            allowed = {0, *(sample.image_labels.nonzero().flatten() + 1).tolist()}
            assert set(mask.unique().tolist()) <= allowed


@pytest.mark.parametrize('name', [n for n in LEAVES if 'pretrain' not in n])
def test_cams_can_be_refined(name):
    cfg = load(name)
    if cfg.model.type != 'CAMEncoderDecoder':
        return
    assert {'crf', 'rw', 'rw_crf', 'pamr', 'par'} <= set(cfg.refine)
    for chain in cfg.refine:
        steps = build_chain({chain: chain_steps(cfg, chain)}, chain)
        assert type(steps[0]).__name__.endswith('Background')
        walks = any('WalkRefiner' in type(step).__name__ for step in steps)
        assert needs_affinity(cfg, chain) is walks
    # The seeds are on either side of the background that the masks have.
    scores = training_scores(cfg)
    if cfg.background.type == 'PowerBackground':
        assert scores.low_alpha < cfg.background.alpha < scores.high_alpha
    else:
        chosen = cfg.background.threshold
        assert scores.background_threshold < chosen < scores.foreground_threshold
