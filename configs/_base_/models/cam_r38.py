# Plain CAM on ResNet38d, as AffinityNet (PSA) trains it.
# `num_classes` comes from the dataset fragment: the leaf config joins them.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
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
    decode_head=dict(type='CAMHead', in_channels=4096, dropout_ratio=0.5),
    test_cfg=dict(normalization='max', background_threshold=0.2),
)
tta_model = dict(type='CAMTTAModel')
