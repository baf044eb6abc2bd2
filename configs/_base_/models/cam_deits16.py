# Plain CAM on MMPretrain's DeiT-S. Crops and views must be whole patches of 16 pixels;
# test images may have any size. The file is MMPretrain's deit-small_4xb256_in1k.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='mmpretrain.VisionTransformer',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        out_indices=[8, 11],
        out_type='featmap',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/deit-small_4xb256_in1k.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(type='CAMHead', in_channels=384, dropout_ratio=0.0),
    test_cfg=dict(normalization='max', background_threshold=0.2),
)
tta_model = dict(type='CAMTTAModel')
