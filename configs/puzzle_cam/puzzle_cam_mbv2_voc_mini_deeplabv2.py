_base_ = [
    '../_base_/models/deeplabv2_mbv2.py',
    '../_base_/datasets/voc_mini_seg.py',
    '../_base_/schedules/deeplab_voc_mini.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
