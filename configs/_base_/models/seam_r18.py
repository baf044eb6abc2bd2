# SEAM on the network of cam_r18.py.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='EquivariantViews',
        preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        # 0.3 of a 128-pixel crop would leave nothing to recognise.
        scale=0.6,
    ),
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
    neck=dict(
        type='PCMNeck',
        # From scratch, only the early features tell bodies from backgrounds.
        in_channels=(16, 32),
        in_indices=(0, 1),
        mid_channels=(32, 32),
        out_channels=64,
    ),
    decode_head=dict(type='SEAMHead', in_channels=128, dropout_ratio=0.0),
    test_cfg=dict(normalization='min_max', background_threshold=0.45),
)
tta_model = dict(type='CAMTTAModel')
