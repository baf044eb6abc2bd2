# voc_mini with the seed scores of its tags' classes, for the affinity stage.
_base_ = ['./voc12_affinity.py']
data_root = 'data/voc_mini'
crop_size = (224, 224)

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadSeedScores', folder={{_base_.seed_scores}}),
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    # Before the normalisation, so that the padding is black, as in AffinityNet's code.
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    dict(type='NormalizeFloat'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='SeedFromScores', cell=8),
    dict(type='PackWSSSInputs'),
]
images = dict(data_root=data_root, tags='image_labels.csv', tag_source='file')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **images))
test_dataloader = dict(dataset=images)
