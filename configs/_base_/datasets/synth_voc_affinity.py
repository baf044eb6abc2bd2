# SynthVOC with the seed scores of its tags' classes, for the affinity stage.
_base_ = ['./voc12_affinity.py']
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadSeedScores', folder={{_base_.seed_scores}}),
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.0),
    # Before the normalisation, so that the padding is black, as in AffinityNet's code.
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    dict(type='NormalizeFloat'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='SeedFromScores', cell=4),
    dict(type='PackWSSSInputs'),
]
images = dict(
    type=dataset_type, data_root=data_root, tags='image_labels.csv', tag_source='file'
)
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline, **images))
test_dataloader = dict(dataset=images)
