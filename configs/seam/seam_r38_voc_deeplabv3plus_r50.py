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
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    {{_base_.steps.flip}},
    dict(
        type='RandomResize',
        scale=(512, 512),
        ratio_range=(0.5, 2.0),
        keep_ratio=True,
    ),
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0, seg_pad=255),
    {{_base_.steps.pack_mask}},
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
