# Plain CAM on VGG-16, as AffinityNet (PSA) trains it: maps are square roots.
model = dict(
    type='CAMEncoderDecoder',
    # The pipelines normalise RGB as torchvision does; this network wants BGR in
    # 0..255 without its mean: undo the one, do the other.
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        rgb_to_bgr=True,
        mean=[
            (104.008 - 103.53) / 57.375,
            (116.669 - 116.28) / 57.12,
            (122.675 - 123.675) / 58.395,
        ],
        std=[1 / 57.375, 1 / 57.12, 1 / 58.395],
    ),
    # ImageNet weights of the Caffe model vgg16_20M; make the file with
    # tools/model_converters/convert.py, or start from nothing with
    # --cfg-options model.backbone.init_cfg=None.
    backbone=dict(
        type='VGG16WSSS',
        fc6_dilation=1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/vgg16_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(type='SqrtCAMHead', in_channels=1024, dropout_ratio=0.5),
    test_cfg=dict(normalization='max', background_threshold=0.2),
)
tta_model = dict(type='CAMTTAModel')
