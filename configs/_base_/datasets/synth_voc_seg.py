# SynthVOC with pseudo masks to train on; the views of a test are voc_mini_seg.py's.
_base_ = ['./voc_mini_seg.py']
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_mask}},
    {{_base_.steps.flip}},
    dict(
        type='RandomResize',
        scale=(128, 128),
        ratio_range=(0.8, 1.3),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack_mask}},
]
images = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(seg_map_path='SegmentationClass'), **images)
)
test_dataloader = val_dataloader
