# WeCLIP on CLIP's ViT-B/16, which stays frozen: a decoder is trained. The file is what
# `wsss convert ViT-B-16.pt data/weights/clip_vit_b16.pth` makes of OpenAI's,
# open_clip's or Hugging Face's weights; `wsss doctor` says where they are published.
clip_weights = 'data/weights/clip_vit_b16.pth'
model = dict(
    type='WeCLIP',
    # The images keep ImageNet's mean and deviation, not CLIP's, as they were published
    # with; what fills no whole patch is dropped.
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='CLIPVisionTransformer',
        partial_patches='drop',
        init_cfg=dict(type='Pretrained', checkpoint=clip_weights, prefix='backbone.'),
    ),
    decode_head=dict(type='WeCLIPHead', in_channels=[768] * 11),
    pseudo_masks=dict(
        type='CLIPPseudoMasks',
        text=dict(
            checkpoint=clip_weights,
            templates=['a clean origami {}.'],
            # Features of words are kept here for other processes and later runs.
            cache_dir='work_dirs/clip_words',
        ),
        last_block=dict(
            init_cfg=dict(
                type='Pretrained', checkpoint=clip_weights, prefix='last_block.'
            )
        ),
        layers=(8, 6),
        box_threshold=0.4,
        iterations=20,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='SegLogitsTTAModel')
