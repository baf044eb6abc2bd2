# Puzzle-CAM, stage 3: DeepLabV3+ on ResNeSt-101, trained on the pseudo masks in
# `pseudo_masks`.
_base_ = [
    '../_base_/models/deeplabv3plus_resnest101.py',
    '../_base_/datasets/voc12_seg.py',
    '../_base_/schedules/deeplabv3plus_puzzle_cam.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadTrainingMask'),
    # The long side is drawn from 256 to 1024 pixels.
    dict(
        type='RandomResize',
        scale=(1024, 1024),
        ratio_range=(0.25, 1.0),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='NormalizeFloat'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(
                    type='Resize',
                    scale_factor=scale,
                    keep_ratio=True,
                    interpolation='bicubic',
                )
                for scale in (0.5, 1.0, 1.5, 2.0)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
