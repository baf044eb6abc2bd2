# PASCAL VOC 2012 with pseudo masks to train on, augmented as Puzzle-CAM retrains.
_base_ = ['./voc12_seg.py']
crop_size = (512, 512)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    # The long side is drawn from 256 to 1024 pixels.
    dict(
        type='RandomResize',
        scale=(1024, 1024),
        ratio_range=(0.25, 1.0),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    {{_base_.steps.flip}},
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
                for scale in (0.5, 1.0, 1.5, 2.0)
            ],
            {{_base_.steps.mirrors}},
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
