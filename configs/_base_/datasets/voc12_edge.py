# PASCAL VOC 2012 with the confident labels that Puzzle-CAM trains edges on.
_base_ = ['./voc12_affinity.py']
crop_size = (512, 512)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_scores}},
    dict(type='SeedFromScores', cell=1),
    dict(type='RandomResizeLong', low=320, high=640, by_factor=True),
    {{_base_.steps.flip}},
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='ThinSeed', cell=4),
    {{_base_.steps.pack}},
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
