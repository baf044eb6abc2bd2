# PASCAL VOC 2012 with the confident labels that Puzzle-CAM trains edges on.
_base_ = ['./voc12_affinity.py']
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadSeedScores', folder={{_base_.seed_scores}}),
    dict(type='SeedFromScores', cell=1),
    dict(type='RandomResizeLong', low=320, high=640),
    dict(type='RandomFlip', prob=0.5),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='ThinSeed', cell=4),
    dict(type='PackWSSSInputs'),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
