# SynthVOC, made by tools/dataset_converters/make_synth_voc.py data/synth_voc.
_base_ = ['./voc12.py']
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(type='RandomResizeLong', low=104, high=168),
    {{_base_.steps.flip}},
    {{_base_.steps.jitter_but_hue}},
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size=crop_size),
    {{_base_.steps.pack}},
]
images = dict(
    type=dataset_type, data_root=data_root, tags='image_labels.csv', tag_source='file'
)
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(dataset=images)
test_dataloader = val_dataloader
