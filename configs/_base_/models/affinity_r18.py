# AffinityNet on the network of cam_r18.py, at stride 4: its images are small.
model = dict(
    type='AffinityNet',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 1, 1),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
    ),
    decode_head=dict(
        type='AffinityHead',
        in_channels=(16, 32, 64, 128),
        mid_channels=(32, 32, 32, 32),
        in_indices=(0, 1, 2, 3),
        stride=4,
        radius=5,
        pairs='complete',
    ),
)
