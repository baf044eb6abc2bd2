# AffinityNet, last stage: DeepLabV1 on ResNet-38 on the pseudo masks in `pseudo_masks`.
_base_ = [
    '../_base_/models/deeplabv1_r38.py',
    '../_base_/datasets/voc12_seg.py',
    '../_base_/schedules/deeplabv1_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # The same ImageNet weights as stage 1's.
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnet38_imagenet.pth',
            prefix='backbone.',
        )
    ),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
