# PASCAL VOC 2012 with the tags of its detection XML, augmented as SEAM trains.
_base_ = ['./steps.py']
dataset_type = 'VOCImageLabelDataset'
data_root = 'data/VOCdevkit/VOC2012'
num_classes = 21  # with the background
crop_size = (448, 448)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(type='RandomResizeLong', low=448, high=768),
    {{_base_.steps.flip}},
    {{_base_.steps.jitter}},
    {{_base_.steps.normalize}},
    # Behind the normalisation, so that the padding is the mean colour.
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack}},
]
test_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.normalize}},
    {{_base_.steps.load_truth}},
    {{_base_.steps.pack}},
]
# An image and its mirror follow each other, scale by scale.
tta_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='PILResize', scale_factor=scale)
                for scale in (0.5, 1.0, 1.5, 2.0)
            ],
            {{_base_.steps.mirrors}},
            [{{_base_.steps.normalize}}],
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
# Trained from tags alone: no masks are configured here.
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path=None),
        tags='Annotations',
        tag_source='xml',
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
        tags='Annotations',
        tag_source='xml',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='VOCIoUMetric'), dict(type='TagMAPMetric')]
test_evaluator = val_evaluator
