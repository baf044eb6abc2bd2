# COCO 2014 with image tags, augmented as IRN and Puzzle-CAM train on VOC.
_base_ = ['./coco14.py']
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='RandomResizeLong', low=320, high=640),
    dict(type='RandomFlip', prob=0.5),
    dict(type='NormalizeFloat'),
    # Behind the normalisation, so that the padding is the mean colour.
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWSSSInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
