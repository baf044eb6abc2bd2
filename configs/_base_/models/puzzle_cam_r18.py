# Puzzle-CAM on the network of cam_r18.py.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='PuzzleViews',
        preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        pieces=4,
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
    decode_head=dict(type='PuzzleCAMHead', in_channels=128),
    test_cfg=dict(normalization='max', background_threshold=0.15),
)
tta_model = dict(type='CAMTTAModel')
custom_hooks = [dict(type='ReconstructionRampHook', maximum=4.0, ramp=0.5)]
