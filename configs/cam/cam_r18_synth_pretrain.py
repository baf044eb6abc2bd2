# The tag classifier that the other SynthVOC networks start from, in the place of
# ImageNet weights: plain CAM from scratch.
_base_ = [
    '../_base_/models/cam_r18.py',
    '../_base_/datasets/synth_voc.py',
    '../_base_/schedules/cam_synth_pretrain.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(norm_eval=False),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
work_dir = 'work_dirs/cam_r18_synth_pretrain'
