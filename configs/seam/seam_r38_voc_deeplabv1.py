# SEAM, stage 3: DeepLabV1 on ResNet-38, trained on the pseudo masks in
# `pseudo_masks` as SEAM's released retraining does (64.75 val mIoU published, with
# a dense CRF and --tta).
_base_ = [
    '../_base_/models/deeplabv1_r38.py',
    '../_base_/datasets/voc12_seg.py',
    '../_base_/schedules/deeplabv1_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # Without this the backbone starts from random numbers. The weights are the same
    # ImageNet weights as stage 1's.
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnet38_imagenet.pth',
            prefix='backbone.',
        )
    ),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
