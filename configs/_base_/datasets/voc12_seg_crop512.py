# PASCAL VOC 2012 with pseudo masks to train on, augmented as Puzzle-CAM retrains.
_base_ = ['./voc12_seg.py']
crop_size = (512, 512)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    dict(type='RandomResizeLong', low=256, high=1024, by_factor=True),
    {{_base_.steps.flip}},
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack_mask}},
]
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
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
