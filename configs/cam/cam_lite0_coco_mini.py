_base_ = [
    '../_base_/models/cam_lite0.py',
    '../_base_/datasets/coco_mini.py',
    '../_base_/schedules/cam_coco_mini.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# voc_mini's settings of the refinement; nothing was chosen on COCO.
background = dict(alpha=4)
walk = dict(type='RandomWalkRefiner', beta=16, steps=64)
training_scores = dict(low_alpha=1.5, high_alpha=8)
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
