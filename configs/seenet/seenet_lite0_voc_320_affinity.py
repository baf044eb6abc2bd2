_base_ = [
    '../_base_/models/affinity_lite0.py',
    '../_base_/datasets/voc_320_affinity.py',
    '../_base_/schedules/affinity_voc_320.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
