_base_ = [
    '../_base_/models/cam_r18.py',
    '../_base_/datasets/synth_voc.py',
    '../_base_/schedules/cam_synth.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
