_base_ = [
    '../_base_/models/seenet_lite0.py',
    '../_base_/datasets/voc_320.py',
    '../_base_/schedules/cam_voc_320.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# Thresholds and backgrounds were chosen on 183 images of `trainaug` that are not in
# `train` (docs/results.md); the walk's beta and steps are voc_mini's.
background = dict(alpha=2.5)
walk = dict(type='RandomWalkRefiner', beta=16, steps=64)
training_scores = dict(low_alpha=1, high_alpha=6)
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
