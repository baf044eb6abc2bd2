# IRN's edge branch on ResNeSt-101, as Puzzle-CAM trains it; the backbone is frozen.
model = dict(
    type='AffinityNet',
    # As IRN and Puzzle-CAM predict: on the square of the training crops.
    pad_size=512,
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='ResNeStStem',
        depth=101,
        stem_channels=128,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        # The released ImageNet weights, renamed by tools/model_converters/convert.py.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnest101_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(
        type='EdgeHead',
        in_channels=(128, 256, 512, 1024, 2048),
        train_radius=10,
        radius=5,
    ),
)
