# WeCLIP's decoder as the second stage of any method: trained from the mask files in
# `pseudo_masks`, without words.
_base_ = [
    '../_base_/models/weclip_decoder_vitb16.py',
    '../_base_/datasets/voc12_seg_crop320.py',
    '../_base_/schedules/weclip_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
randomness = dict(seed=1)
