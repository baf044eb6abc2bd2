# The official VOC 2012 segmentation set at 320 pixels on the long side: CAM networks
# learn from the tags of `trainaug`, CAMs are scored on `train`.
_base_ = ['./voc12.py']
data_root = 'data/voc_320'
crop_size = (192, 192)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(type='RandomResizeLong', low=200, high=360),
    {{_base_.steps.flip}},
    {{_base_.steps.jitter}},
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack}},
]
images = dict(data_root=data_root, tags='image_labels.csv', tag_source='file')
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(seg_map_path='SegmentationClassAug'), **images)
)
test_dataloader = val_dataloader
