import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from PIL import Image

from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.io.mask_file import save_mask
from wsss_mm.registry import DATASETS

NAMES = ('synth_voc', 'voc12', 'voc_mini')


@pytest.fixture(scope='module')
def synth(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synth') / 'data'
    return write_synth_voc(folder, train=3, val=2, size=64)


def load(root, name, data_root):
    init_default_scope('mmseg')
    cfg = Config.fromfile(root / f'configs/_base_/datasets/{name}.py')
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(data_root)
    return cfg


def test_training_reads_tags_and_no_mask(root, synth):
    (synth / 'SegmentationClass').rename(synth / 'hidden')
    try:
        dataset = DATASETS.build(
            load(root, 'synth_voc', synth).train_dataloader.dataset
        )
        item = dataset[0]
    finally:
        (synth / 'hidden').rename(synth / 'SegmentationClass')
    assert len(dataset) == 4
    assert item['inputs'].shape == (3, 112, 112)
    assert item['inputs'].dtype == torch.float32
    assert item['data_samples'].image_labels.shape == (8,)
    assert 'gt_sem_seg' not in item['data_samples']


def test_views_of_cam_inference(root, synth):
    cfg = load(root, 'synth_voc', synth)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    plain = DATASETS.build(cfg.val_dataloader.dataset)[0]
    views = DATASETS.build(cfg.test_dataloader.dataset)[0]
    height, width = plain['inputs'].shape[1:]
    truth = plain['data_samples'].gt_sem_seg.data
    assert [tuple(view.shape[1:]) for view in views['inputs']] == [
        (round(height * scale), round(width * scale))
        for scale in (0.5, 1.0, 1.5, 2.0)
        for _ in range(2)
    ]
    assert [sample.flip for sample in views['data_samples']] == [False, True] * 4
    assert torch.equal(views['inputs'][2], plain['inputs'])
    assert torch.equal(views['inputs'][3], plain['inputs'].flip(-1))
    for sample in views['data_samples']:
        assert torch.equal(sample.gt_sem_seg.data, truth)
        assert sample.ori_shape == (height, width)
    assert pseudo_collate([views])['inputs'][0][0].shape == views['inputs'][0].shape


def test_retraining_reads_pseudo_masks_in_step_with_the_image(root, synth):
    cfg = load(root, 'synth_voc_seg', synth)
    data = cfg.train_dataloader.dataset
    data.data_prefix.seg_map_path = str(synth / 'SegmentationClass')
    dataset = DATASETS.build(data)
    item = dataset[0]
    sample = item['data_samples']
    assert sample.gt_sem_seg.data.shape == (1, *item['inputs'].shape[1:])
    assert 'image_labels' not in sample
    # Padding is the mean colour under 255.
    padding = (item['inputs'] == 0).all(dim=0)
    assert (sample.gt_sem_seg.data[0][padding] == 255).all()


@pytest.mark.parametrize('name', NAMES)
def test_masks_follow_the_image_through_retraining_augmentation(root, tmp_path, name):
    """A bright shape on black stays where its mask says, however it is augmented."""
    init_default_scope('mmseg')
    mask = np.zeros((90, 120), np.uint8)
    mask[10:60, 5:40] = mask[50:85, 30:110] = 1
    (tmp_path / 'JPEGImages').mkdir()
    Image.fromarray((mask * 255)[..., None].repeat(3, axis=2)).save(
        tmp_path / 'JPEGImages/a.png'
    )
    save_mask(tmp_path / 'pseudo_masks/a.png', mask, [[0, 0, 0]])
    (tmp_path / 'list.txt').write_text('a\n')
    data = load(root, f'{name}_seg', tmp_path).train_dataloader.dataset
    data.ann_file = 'list.txt'
    dataset = DATASETS.build(data)
    for seed in range(6):
        np.random.seed(seed)  # noqa: NPY002
        item = dataset[0]
        labels = item['data_samples'].gt_sem_seg.data[0]
        bright = item['inputs'].mean(dim=0) > 0
        assert (bright == (labels == 1))[labels != 255].float().mean() > 0.97
        assert {0, 1} <= set(labels.unique().tolist())


def test_retraining_without_pseudo_masks_says_how_to_make_them(root, synth):
    with pytest.raises(ValueError, match=r'no mask .*pseudo_masks.*gen_pseudo'):
        DATASETS.build(load(root, 'synth_voc_seg', synth).train_dataloader.dataset)


def test_segmentation_views_keep_the_truth(root, synth):
    cfg = load(root, 'synth_voc_seg', synth)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    plain = DATASETS.build(cfg.val_dataloader.dataset)[1]
    views = DATASETS.build(cfg.test_dataloader.dataset)[1]
    assert len(views['inputs']) == 6
    assert all(
        torch.equal(s.gt_sem_seg.data, plain['data_samples'].gt_sem_seg.data)
        for s in views['data_samples']
    )


def test_voc_mini(root, shared):
    folder = shared / 'data/voc_mini'
    cfg = load(root, 'voc_mini', folder)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train) == 518
    assert train[0]['inputs'].shape == (3, 224, 224)
    truth = DATASETS.build(cfg.val_dataloader.dataset)[0]['data_samples'].gt_sem_seg
    assert set(np.unique(truth.data)) <= {*range(21), 255}


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('stage', ['', '_seg'])
def test_fragments_agree_with_their_dataset(root, name, stage):
    init_default_scope('mmseg')
    cfg = Config.fromfile(root / f'configs/_base_/datasets/{name}{stage}.py')
    cls = DATASETS.get(cfg.dataset_type)
    assert cfg.num_classes == len(cls.METAINFO['classes'])
    assert cfg.train_dataloader.dataset.ann_file.endswith('/trainaug.txt')
    split = 'train' if not stage else 'val'
    assert cfg.val_dataloader.dataset.ann_file.endswith(f'/{split}.txt')
    if not stage:
        assert cfg.train_dataloader.dataset.data_prefix.seg_map_path is None


@pytest.mark.parametrize(
    'name, epochs', [('seam/seam_r38_coco', 8), ('cam/cam_r50_coco', 5)]
)
def test_epochs_over_coco(root, name, epochs):
    cfg = Config.fromfile(root / f'configs/{name}.py')
    steps = epochs * (82081 // cfg.train_dataloader.batch_size)
    assert cfg.train_cfg.max_iters == steps
    assert cfg.param_scheduler[-1].end == steps
    # While training, CAMs of some images are scored; the figure is on all of train.
    assert 0 < cfg.val_dataloader.dataset.indices < 82081
    assert 'indices' not in cfg.test_dataloader.dataset


def test_coco_is_scored_where_it_should_be(root):
    folder = root / 'configs/_base_/datasets'
    places = {}
    for stage in ('', '_seg'):
        cfg = Config.fromfile(folder / f'coco14{stage}.py')
        for part in ('train', 'val', 'test'):
            data = cfg[f'{part}_dataloader'].dataset
            split = data.ann_file.rpartition('/')[2][: -len('.txt')]
            assert data.data_prefix.img_path == f'{split}2014'
            assert data.data_root == 'data/coco14'
            places[f'{part}{stage}'] = (split, data.data_prefix.seg_map_path)
    assert places == {
        'train': ('train', None),
        'val': ('train', 'SegmentationClass'),
        'test': ('train', 'SegmentationClass'),
        'train_seg': ('train', 'pseudo_masks'),
        'val_seg': ('val', 'SegmentationClass'),
        'test_seg': ('val', 'SegmentationClass'),
    }


def test_voc12_is_the_recipe_of_seam(root):
    cfg = Config.fromfile(root / 'configs/_base_/datasets/voc12.py')
    types = [step['type'] for step in cfg.train_pipeline]
    assert types == [
        'LoadImageFromFile',
        'BGRToRGB',
        'RandomResizeLong',
        'RandomFlip',
        'ColorJitterPIL',
        'NormalizeFloat',
        'RandomCropPad',
        'PackWSSSInputs',
    ]
    assert (cfg.train_pipeline[2].low, cfg.train_pipeline[2].high) == (448, 768)
    assert cfg.train_dataloader.batch_size == 8
