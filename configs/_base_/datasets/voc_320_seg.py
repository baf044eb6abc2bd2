# VOC at 320 pixels with pseudo masks of `train` to learn from, scored on `val`.
_base_ = ['./voc12_seg.py']
data_root = 'data/voc_320'
crop_size = (192, 192)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    {{_base_.steps.flip}},
    dict(
        type='RandomResize',
        scale=(320, 320),
        ratio_range=(0.65, 1.25),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack_mask}},
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
                for scale in (0.75, 1.0, 1.25)
            ],
            {{_base_.steps.mirrors}},
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
images = dict(data_root=data_root)
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        ann_file='ImageSets/Segmentation/train.txt', pipeline=train_pipeline, **images
    ),
)
val_dataloader = dict(
    dataset=dict(data_prefix=dict(seg_map_path='SegmentationClassAug'), **images)
)
test_dataloader = val_dataloader
