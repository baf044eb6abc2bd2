# SeeNet on the network of cam_r18.py.
model = dict(
    type='CAMEncoderDecoder',
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
        norm_eval=True,  # as the references do, which start from trained weights
        style='pytorch',
    ),
    decode_head=dict(
        type='ErasingHead',
        in_channels=128,
        # 1x1 branches: two 3x3 convolutions would not learn in so few steps.
        channels=(),
        dropout_ratio=0.0,
        # As the released network: reversed background wakes branch B up in training,
        # and would do so in prediction, where it is a false alarm.
        test_thresholds=(0.8, 0.0),
    ),
    test_cfg=dict(normalization='max', background_threshold=0.15),
)
tta_model = dict(type='CAMTTAModel')
