"""WeCLIP from its configs to a segmenter, small and on SynthVOC."""

import pytest
import torch
from mmengine.config import Config

from wsss_mm import InputError, evaluate_checkpoint, generate_cams, run_method, train

TINY = dict(embed_dims=32, num_heads=2)


def small(config, data, folder):
    """Thin out a config, put it on SynthVOC for two steps, and write it."""
    cfg = Config.fromfile(config)
    synth = Config.fromfile(config.parents[1] / '_base_/datasets/synth_voc.py')
    model = cfg.model
    model.backbone.update(**TINY, num_layers=3, img_size=64, init_cfg=None)
    model.decode_head.update(
        in_channels=[32] * 3, num_classes=9, channels=16, num_layers=1, num_heads=2
    )
    if 'pseudo_masks' in model:
        tiny = dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8)
        text = dict(encoder=tiny, checkpoint=None, cache_dir=None)
        model.pseudo_masks.text.update(text)
        model.pseudo_masks.last_block = dict(**TINY, output_dims=8)
        model.pseudo_masks.update(layers=(3, 2), words=None, iterations=2)
        cfg.custom_hooks[0].begin = 3
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(type='SynthVOCDataset', data_root=str(data))
        if loader.dataset.tags is not None:
            loader.dataset.update(tags='image_labels.csv', tag_source='file')
        for step in loader.dataset.pipeline:
            if step.type == 'RandomCropPad':
                step.crop_size = (64, 64)
            if step.type == 'Resize':
                step.scale = (64, 64)
    for step in cfg.tta_pipeline[3].transforms[0]:
        step.scale = (48, 48)
    cfg.dataset_type, cfg.num_classes = synth.dataset_type, 9
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.interval = 1
    cfg.load_from = None
    path = folder / config.name
    cfg.dump(path)
    return path


def weights(work_dir):
    last = (work_dir / 'last_checkpoint').read_text().strip()
    return torch.load(last, weights_only=True)['state_dict']


def test_one_stage_from_tags(root, synth, tmp_path):
    config = small(root / 'configs/weclip/weclip_vitb16_voc.py', synth, tmp_path)
    work = train(config, work_dir=tmp_path / 'work')
    first = weights(work)
    # The affinity is trusted from the third step on.
    options = {'train_cfg.max_iters': 4, 'train_cfg.val_interval': 4}
    assert train(config, work_dir=work, resume=True, options=options) == work
    second = weights(work)
    for name, tensor in first.items():
        learns = name.startswith('decode_head.')
        assert torch.equal(tensor, second[name]) is not learns, name
    assert any(name.startswith('pseudo_masks.last_block.') for name in second)
    # Neither words nor tags are needed any more, only what the checkpoint holds.
    figures = evaluate_checkpoint(config, work)
    assert 0 <= figures['mIoU'] <= 100
    scaled = evaluate_checkpoint(config, work, tta=True)
    assert 0 <= scaled['mIoU'] <= 100


def test_it_makes_no_cams_and_has_one_stage(root, tmp_path):
    config = root / 'configs/weclip/weclip_vitb16_voc.py'
    message = 'a WeCLIP with a WeCLIPHead, makes no CAMs; train and test it with'
    with pytest.raises(InputError, match=message):
        run_method(config, work_dir=tmp_path)
    with pytest.raises(InputError, match=message):
        generate_cams(config, 'weights.pth', out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_decoder_from_mask_files(root, synth, tmp_path):
    name = 'configs/weclip/weclip_vitb16_voc_from_masks.py'
    config = small(root / name, synth, tmp_path)
    masks = {
        'train_dataloader.dataset.data_prefix.seg_map_path': 'SegmentationClass',
    }
    work = train(config, work_dir=tmp_path / 'work', options=masks)
    assert not any('pseudo_masks' in name for name in weights(work))
    assert 0 <= evaluate_checkpoint(config, work)['mIoU'] <= 100
