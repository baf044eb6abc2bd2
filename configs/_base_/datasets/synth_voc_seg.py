# SynthVOC with pseudo masks to train on.
_base_ = ['./voc12_seg.py']
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadTrainingMask'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomResize',
        scale=(128, 128),
        ratio_range=(0.8, 1.3),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    dict(type='NormalizeFloat'),
    # Behind the normalisation: pads the image with the mean colour, the mask with 255.
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
                for scale in (0.75, 1.0, 1.25)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]
images = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(dataset=images)
test_dataloader = val_dataloader
