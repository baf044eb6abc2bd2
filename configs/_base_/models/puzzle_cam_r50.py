# Puzzle-CAM on ResNet-50 at output stride 16; its BatchNorm trains too.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='PuzzleViews',
        preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        pieces=4,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 1),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    decode_head=dict(type='PuzzleCAMHead', in_channels=2048),
    test_cfg=dict(normalization='max', background_threshold=0.2),
)
tta_model = dict(type='CAMTTAModel')
custom_hooks = [dict(type='ReconstructionRampHook', maximum=4.0, ramp=0.5)]
