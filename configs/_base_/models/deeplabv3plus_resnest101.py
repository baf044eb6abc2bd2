# DeepLabV3+ on ResNeSt-101 at output stride 16, as Puzzle-CAM retrains it: BatchNorm
# keeps its statistics, the head has group normalisation.
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', size_divisor=1, pad_val=0, seg_pad_val=255
    ),
    backbone=dict(
        type='ResNeStWSSS',
        depth=101,
        stem_channels=128,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        # The released ImageNet weights, renamed by tools/model_converters/convert.py.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnest101_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(type='DeepLabV3PlusHead'),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='SegLogitsTTAModel')
