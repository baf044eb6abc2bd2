# AffinityNet on the network of cam_mbv2.py, at stride 8.
model = dict(
    type='AffinityNet',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        # The pipelines normalise as torchvision does; this network was trained
        # on (x - 128) / 128: undo the one, do the other.
        mean=[
            (128 - 123.675) / 58.395,
            (128 - 116.28) / 57.12,
            (128 - 103.53) / 57.375,
        ],
        std=[128 / 58.395, 128 / 57.12, 128 / 57.375],
    ),
    backbone=dict(
        type='MobileNetV2',
        widen_factor=1.0,
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        out_indices=(1, 2, 4, 6),
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/mobilenet_v2_imagenet_fp16.pth',
        ),
    ),
    decode_head=dict(
        type='AffinityHead',
        in_channels=(32, 96, 320),
        mid_channels=(32, 64, 128),
        in_indices=(1, 2, 3),
        stride=8,
        radius=5,
        pairs='complete',
    ),
)
