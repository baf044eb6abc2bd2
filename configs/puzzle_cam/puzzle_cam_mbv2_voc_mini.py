_base_ = [
    '../_base_/models/puzzle_cam_mbv2.py',
    '../_base_/datasets/voc_mini.py',
    '../_base_/schedules/cam_voc_mini.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# As on SynthVOC; the published weight of 4 shrinks the maps (see README.md).
custom_hooks = [dict(type='ReconstructionRampHook', maximum=1.0, ramp=0.5)]
# The plain CAM's settings.
background = dict(alpha=4)
walk = dict(beta=16)
training_scores = dict(low_alpha=1.5, high_alpha=8)
