# SynthVOC, made by tools/dataset_converters/make_synth_voc.py data/synth_voc.
_base_ = ['./voc12.py']
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='RandomResizeLong', low=104, high=168),
    dict(type='RandomFlip', prob=0.5),
    # No hue jitter: the paints of SynthVOC's classes lie as close as its usual 0.1.
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.0),
    dict(type='NormalizeFloat'),
    # Behind the normalisation, so that the padding is the mean colour.
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWSSSInputs'),
]
images = dict(
    type=dataset_type, data_root=data_root, tags='image_labels.csv', tag_source='file'
)
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
val_dataloader = dict(dataset=images)
test_dataloader = val_dataloader
