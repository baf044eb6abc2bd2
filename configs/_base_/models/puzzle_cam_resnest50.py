# Puzzle-CAM on ResNeSt-50 at output stride 16; its BatchNorm trains too.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='PuzzleViews',
        preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        pieces=4,
    ),
    backbone=dict(
        type='ResNeStWSSS',
        depth=50,
        stem_channels=64,
        radix=2,
        reduction_factor=4,
        avg_down_stride=True,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        # The released ImageNet weights, renamed by tools/model_converters/convert.py.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnest50_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(type='PuzzleCAMHead', in_channels=2048),
    test_cfg=dict(normalization='max', background_threshold=0.2),
)
tta_model = dict(type='CAMTTAModel')
custom_hooks = [dict(type='ReconstructionRampHook', maximum=4.0, ramp=0.5)]
