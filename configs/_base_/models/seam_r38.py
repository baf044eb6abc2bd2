# SEAM on ResNet38d (CVPR 2020).
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='EquivariantViews',
        preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        scale=0.3,
    ),
    # ImageNet weights; make the file with tools/model_converters/convert.py, or
    # start from nothing with --cfg-options model.backbone.init_cfg=None.
    backbone=dict(
        type='ResNet38d',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnet38_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(type='PCMNeck', in_channels=(512, 1024), in_indices=(1, 2)),
    decode_head=dict(type='SEAMHead', in_channels=4096, dropout_ratio=0.5),
    test_cfg=dict(normalization='min_max', background_threshold=0.26),
)
tta_model = dict(type='CAMTTAModel')
