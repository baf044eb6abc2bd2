# SynthVOC with pseudo masks to train on.
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)
# What tools/gen_pseudo.py wrote: an absolute path, or one below data_root. On the
# command line: train_dataloader.dataset.data_prefix.seg_map_path=...
pseudo_masks = 'pseudo_masks'

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
test_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='NormalizeFloat'),
    dict(type='LoadEvaluationMask'),
    dict(type='PackWSSSInputs'),
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

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path=pseudo_masks),
        tags=None,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        tags=None,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VOCIoUMetric')
test_evaluator = val_evaluator
