# Plain CAM on a torchvision-style ResNet-50 at output stride 16.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 1),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    decode_head=dict(type='CAMHead', in_channels=2048, dropout_ratio=0.0),
    test_cfg=dict(normalization='max', background_threshold=0.15),
)
tta_model = dict(type='CAMTTAModel')
