_base_ = [
    '../_base_/models/deeplabv2_lite0.py',
    '../_base_/datasets/voc_320_seg.py',
    '../_base_/schedules/deeplab_voc_320.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
