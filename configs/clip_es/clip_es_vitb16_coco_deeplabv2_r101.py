# CLIP-ES on COCO 2014, stage 2: DeepLabV2 on ResNet-101, trained on the pseudo masks in
# `pseudo_masks`, five times as long as on VOC. Not trained here.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/coco14_seg.py',
    '../_base_/schedules/deeplabv2_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
crop_size = (321, 321)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    {{_base_.steps.flip}},
    dict(
        type='RandomResize',
        scale=(500, 500),
        ratio_range=(0.5, 1.5),
        keep_ratio=True,
    ),
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0, seg_pad=255),
    {{_base_.steps.pack_mask}},
]
train_dataloader = dict(batch_size=10, dataset=dict(pipeline=train_pipeline))
max_iters = 100000
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=20000)
