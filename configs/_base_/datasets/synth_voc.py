# SynthVOC, made by tools/dataset_converters/make_synth_voc.py data/synth_voc.
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='RandomResizeLong', low=104, high=168),
    dict(type='RandomFlip', prob=0.5),
    # No hue jitter: the paints of SynthVOC's classes lie as close as its usual 0.1.
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.0),
    dict(type='NormalizeFloat'),
    # Behind the normalisation, so that the padding is the mean colour.
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWSSSInputs'),
]
test_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='NormalizeFloat'),
    dict(type='LoadEvaluationMask'),
    dict(type='PackWSSSInputs'),
]
# An image and its mirror follow each other, scale by scale.
tta_pipeline = [
    dict(type='LoadRGBImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='PILResize', scale_factor=scale)
                for scale in (0.5, 1.0, 1.5, 2.0)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='NormalizeFloat')],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]

# Trained from tags alone: no masks are configured here.
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path=None),
        tags='image_labels.csv',
        pipeline=train_pipeline,
    ),
)
# CAMs are scored on train. Without masks, set seg_map_path to None.
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        tags='image_labels.csv',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='VOCIoUMetric'), dict(type='TagMAPMetric')]
test_evaluator = val_evaluator
