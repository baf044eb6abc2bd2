# Plain CAM on a small vision transformer with patches of 8 pixels, refined along its
# own attention: small enough for two CPU cores, and to be trained from scratch.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='AttentionViT',
        img_size=112,
        patch_size=8,
        embed_dims=128,
        num_layers=4,
        num_heads=4,
    ),
    decode_head=dict(
        type='AttentionCAMHead',
        in_channels=128,
        dropout_ratio=0.0,
        attention_layers=2,
        box_threshold=0.4,
    ),
    test_cfg=dict(normalization='max', background_threshold=0.4),
)
tta_model = dict(type='CAMTTAModel')
