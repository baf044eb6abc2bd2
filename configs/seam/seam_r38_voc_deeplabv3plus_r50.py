# SEAM, stage 3: DeepLabV3+ on ResNet-50, trained on the pseudo masks in
# `pseudo_masks`.
_base_ = [
    '../_base_/models/deeplabv3plus_r50.py',
    '../_base_/datasets/voc12_seg.py',
    '../_base_/schedules/deeplabv3plus_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadTrainingMask'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomResize',
        scale=(512, 512),
        ratio_range=(0.5, 2.0),
        keep_ratio=True,
    ),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0, seg_pad=255),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
