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
        # On SynthVOC the class token's attention does more than that of the cells,
        # which attention_layers=2, balanced=False would use; see docs/results.md.
        class_token_layers=4,
        attention_layers=None,
        box_threshold=0.4,
    ),
    test_cfg=dict(normalization='max', background_threshold=0.4),
)
tta_model = dict(type='CAMTTAModel')
