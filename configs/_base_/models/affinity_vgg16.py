# AffinityNet on VGG-16 (CVPR 2018): fc6 with dilation 4, and a normalised head.
model = dict(
    type='AffinityNet',
    # The pipelines normalise RGB as torchvision does; this network wants BGR in
    # 0..255 without its mean: undo the one, do the other.
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        rgb_to_bgr=True,
        mean=[
            (104.008 - 103.53) / 57.375,
            (116.669 - 116.28) / 57.12,
            (122.675 - 123.675) / 58.395,
        ],
        std=[1 / 57.375, 1 / 57.12, 1 / 58.395],
    ),
    # See cam_vgg16.py.
    backbone=dict(
        type='VGG16WSSS',
        fc6_dilation=4,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/vgg16_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(
        type='AffinityHead',
        in_channels=(512, 512, 1024),
        in_indices=(0, 1, 2),
        norm_groups=(8, 16, 32),
        radius=5,
        stride=8,
        pairs='psa',
    ),
)
