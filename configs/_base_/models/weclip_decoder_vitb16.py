# WeCLIP's decoder on CLIP's frozen ViT-B/16, trained from the mask files of any method:
# nothing here knows of tags or words.
clip_weights = 'data/weights/clip_vit_b16.pth'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='CLIPVisionTransformer',
        partial_patches='drop',
        init_cfg=dict(type='Pretrained', checkpoint=clip_weights, prefix='backbone.'),
    ),
    decode_head=dict(type='WeCLIPHead', in_channels=[768] * 11),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='SegLogitsTTAModel')
