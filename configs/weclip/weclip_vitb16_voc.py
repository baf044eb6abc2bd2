# WeCLIP in its one stage: from tags to a segmenter, see README.md.
_base_ = [
    '../_base_/models/weclip_vitb16.py',
    '../_base_/datasets/voc12_weclip.py',
    '../_base_/words/voc12.py',
    '../_base_/schedules/weclip_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(num_classes={{_base_.num_classes}}),
    pseudo_masks=dict(
        words={{_base_.class_words}}, background_words={{_base_.background_words}}
    ),
)
# The released code switches after 15,000 iterations by a counter that goes on during
# its validations; training iteration 9,145 is where that happens.
custom_hooks = [dict(type='AffinitySwitchHook', begin=9145)]
randomness = dict(seed=1)
