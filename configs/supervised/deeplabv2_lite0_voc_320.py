_base_ = [
    '../_base_/models/deeplabv2_lite0.py',
    '../_base_/datasets/voc_320_seg.py',
    '../_base_/schedules/deeplab_voc_320.py',
    '../_base_/default_runtime.py',
]
# The yardstick: the same segmenter, trained on the true masks.
train_dataloader = dict(
    dataset=dict(data_prefix=dict(seg_map_path='SegmentationClassAug'))
)
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'))
