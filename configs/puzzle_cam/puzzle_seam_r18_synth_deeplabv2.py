_base_ = [
    '../_base_/models/deeplabv2_r18.py',
    '../_base_/datasets/synth_voc_seg.py',
    '../_base_/schedules/deeplab_synth.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
