# COCO 2014 with image tags, augmented as IRN and Puzzle-CAM train on VOC.
_base_ = ['./coco14.py']
crop_size = (512, 512)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(type='RandomResizeLong', low=320, high=640, by_factor=True),
    {{_base_.steps.flip}},
    {{_base_.steps.normalize}},
    # Behind the normalisation, so that the padding is the mean colour.
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack}},
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
