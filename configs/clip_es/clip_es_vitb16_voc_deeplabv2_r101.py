# CLIP-ES, stage 2: DeepLabV2 on ResNet-101, trained on the pseudo masks in
# `pseudo_masks` with DeepLabV2's own recipe.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/voc12_seg.py',
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
