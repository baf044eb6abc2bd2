# A few hundred VOC images of 320 pixels, in the VOC layout with tags as CSV.
_base_ = ['./voc12.py']
data_root = 'data/voc_mini'
crop_size = (224, 224)

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='RandomResizeLong', low=240, high=420),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='NormalizeFloat'),
    # Behind the normalisation, so that the padding is the mean colour.
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWSSSInputs'),
]
images = dict(data_root=data_root, tags='image_labels.csv', tag_source='file')
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(seg_map_path='SegmentationClassAug'), **images)
)
test_dataloader = val_dataloader
