# PASCAL VOC 2012 with pseudo masks to train on, augmented as SEAM retrains.
_base_ = ['./steps.py']
dataset_type = 'VOCImageLabelDataset'
data_root = 'data/VOCdevkit/VOC2012'
num_classes = 21  # with the background
crop_size = (448, 448)
# What tools/gen_pseudo.py wrote: an absolute path, or one below data_root. On the
# command line: train_dataloader.dataset.data_prefix.seg_map_path=...
pseudo_masks = 'pseudo_masks'

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    dict(type='RandomHSVShift', hue=10, saturation=10, value=10),
    {{_base_.steps.flip}},
    dict(type='RandomRescale', low=0.5, high=1.5),
    {{_base_.steps.normalize}},
    # Behind the normalisation: pads the image with the mean colour, the mask with 255.
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack_mask}},
]
test_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.normalize}},
    {{_base_.steps.load_truth}},
    {{_base_.steps.pack}},
]
tta_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.normalize}},
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
                for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            {{_base_.steps.mirrors}},
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]

train_dataloader = dict(
    batch_size=10,
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
