# IRN's edge branch on ResNet-50, in the form of Puzzle-CAM; the backbone is frozen.
model = dict(
    type='AffinityNet',
    # As IRN and Puzzle-CAM predict: on the square of the training crops.
    pad_size=512,
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='ResNetStem',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 1),
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    decode_head=dict(type='EdgeHead', train_radius=10, radius=5),
)
