# SynthVOC with the seed scores of its tags' classes, for the affinity stage.
_base_ = ['./voc12_affinity.py']
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_scores}},
    {{_base_.steps.jitter_but_hue}},
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    {{_base_.steps.normalize}},
    {{_base_.steps.flip}},
    dict(type='SeedFromScores', cell=4),
    {{_base_.steps.pack}},
]
images = dict(
    type=dataset_type, data_root=data_root, tags='image_labels.csv', tag_source='file'
)
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
test_dataloader = dict(dataset=images)
