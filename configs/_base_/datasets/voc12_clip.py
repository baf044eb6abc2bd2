# PASCAL VOC 2012 as CLIP-ES shows it to CLIP: one scale, sides that are whole patches,
# CLIP's own mean and deviation. Of the training data the list of images counts alone.
_base_ = ['./voc12.py']
patches = dict(type='PILResizeToMultiple', divisor=16)
clip_normalize = dict(
    type='NormalizeFloat',
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
)
test_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    patches,
    clip_normalize,
    {{_base_.steps.load_truth}},
    {{_base_.steps.pack}},
]
tta_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(
        type='TestTimeAug',
        transforms=[
            [patches],
            [clip_normalize],
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
