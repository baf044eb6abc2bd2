# PASCAL VOC 2012 with image tags, resized as SeeNet's released notebook does: every
# image becomes this square, whatever its shape.
_base_ = ['./voc12.py']
size = (256, 256)
crop_size = (224, 224)
resize = dict(
    type='Resize', scale=size, keep_ratio=False, interpolation='bicubic', backend='cv2'
)
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    resize,
    {{_base_.steps.flip}},
    {{_base_.steps.normalize}},
    # No image is smaller than the crop.
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack}},
]
test_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    resize,
    {{_base_.steps.normalize}},
    {{_base_.steps.load_truth}},
    {{_base_.steps.pack}},
]
# An image and its mirror follow each other.
tta_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(
        type='TestTimeAug',
        transforms=[
            [resize],
            {{_base_.steps.mirrors}},
            [{{_base_.steps.normalize}}],
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
