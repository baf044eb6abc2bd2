# `train` of VOC at 320 pixels with the seed scores of its tags' classes, for the
# affinity stage.
_base_ = ['./voc12_affinity.py']
data_root = 'data/voc_320'
crop_size = (192, 192)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_scores}},
    {{_base_.steps.jitter}},
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    {{_base_.steps.normalize}},
    {{_base_.steps.flip}},
    dict(type='SeedFromScores', cell=8),
    {{_base_.steps.pack}},
]
lists = dict(ann_file='ImageSets/Segmentation/train.txt')
images = dict(data_root=data_root, tags='image_labels.csv', tag_source='file')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **lists, **images))
test_dataloader = dict(dataset=dict(**lists, **images))
