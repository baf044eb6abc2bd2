# WeCLIP for COCO: other words, layers, boxes, and twice as many steps and more.
_base_ = [
    '../_base_/models/weclip_vitb16.py',
    '../_base_/datasets/coco14_weclip.py',
    '../_base_/words/coco14.py',
    '../_base_/schedules/weclip_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(num_classes={{_base_.num_classes}}),
    pseudo_masks=dict(
        words={{_base_.class_words}},
        background_words={{_base_.background_words}},
        layers=(8, 10),
        box_threshold=0.7,
    ),
)
custom_hooks = [dict(type='AffinitySwitchHook', begin=40001)]
randomness = dict(seed=1)
