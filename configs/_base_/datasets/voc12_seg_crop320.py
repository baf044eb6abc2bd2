# PASCAL VOC 2012 with pseudo masks to train on, augmented as WeCLIP trains, and tested
# as it tests: long side 512.
_base_ = ['./voc12_seg.py']
crop_size = (320, 320)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    dict(
        type='RandomRescale',
        low=0.5,
        high=2.0,
        interpolation='bilinear',
        backend='pillow',
    ),
    {{_base_.steps.flip}},
    # Before the normalisation, so that the padding is black.
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    {{_base_.steps.normalize}},
    {{_base_.steps.pack_mask}},
]
# Bilinear on the normalised image, as in the released code.
test_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.normalize}},
    dict(type='Resize', scale=(512, 512), keep_ratio=True),
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
                dict(type='Resize', scale=(512, 512), keep_ratio=True),
                dict(type='Resize', scale=(384, 384), keep_ratio=True),
            ],
            {{_base_.steps.mirrors}},
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
