# CLIP-ES on CLIP's ViT-B/16, frozen: nothing is trained. The file is what
# `wsss convert ViT-B-16.pt data/weights/clip_vit_b16.pth` makes of OpenAI's,
# open_clip's or Hugging Face's weights; `wsss doctor` says where they are published.
clip_weights = 'data/weights/clip_vit_b16.pth'
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    backbone=dict(
        type='CLIPVisionTransformer',
        out_indices=(10,),
        # Of the head's eight, the last is that of the last block.
        attention_layers=7,
        init_cfg=dict(type='Pretrained', checkpoint=clip_weights, prefix='backbone.'),
    ),
    decode_head=dict(
        type='CLIPESHead',
        attention_layers=8,
        box_threshold=0.4,
        templates=['a clean origami {}.'],
        # Features of words are kept here for other processes and later runs.
        text=dict(checkpoint=clip_weights, cache_dir='work_dirs/clip_words'),
        init_cfg=dict(type='Pretrained', checkpoint=clip_weights, prefix='last_block.'),
    ),
    # The head's maps are in [0, 1]; for one class the background's (1 - CAM) wins below
    # 0.5, as it does among several.
    test_cfg=dict(normalization='none', background_threshold=0.5),
)
tta_model = dict(type='CAMTTAModel')
