# SeeNet on VOC 2012. No training code was released: batch, rate, decay and steps are
# the paper's; sizes and augmentation are our reading (see README.md).
_base_ = [
    '../_base_/models/seenet_vgg16.py',
    '../_base_/datasets/voc12.py',
    '../_base_/schedules/seenet_25k.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# The released notebook resizes every image to this square, whatever its shape.
size = (256, 256)
crop_size = (224, 224)
resize = dict(
    type='Resize', scale=size, keep_ratio=False, interpolation='bicubic', backend='cv2'
)
train_pipeline = [
    dict(type='LoadRGBImage'),
    resize,
    dict(type='RandomFlip', prob=0.5),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWSSSInputs'),
]
test_pipeline = [
    dict(type='LoadRGBImage'),
    resize,
    dict(type='NormalizeFloat'),
    dict(type='LoadEvaluationMask'),
    dict(type='PackWSSSInputs'),
]
# An image and its mirror follow each other.
tta_pipeline = [
    dict(type='LoadRGBImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [resize],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='NormalizeFloat')],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
# Acts like the threshold of the masks on a single class.
background = dict(alpha=3.4)
training_scores = dict(low_alpha=2, high_alpha=8)
