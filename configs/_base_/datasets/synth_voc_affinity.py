# SynthVOC with the seed scores of its tags' classes, for the affinity stage.
dataset_type = 'SynthVOCDataset'
data_root = 'data/synth_voc'
num_classes = 9  # with the background
crop_size = (112, 112)
# Where tools/gen_pseudo.py --seed-scores wrote the scores of the training images.
seed_scores = 'work_dirs/seed_scores'

train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='LoadSeedScores', folder=seed_scores),
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.0),
    # Before the normalisation, so that the padding is black, as in AffinityNet's code.
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    dict(type='NormalizeFloat'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='SeedFromScores', cell=4),
    dict(type='PackWSSSInputs'),
]
test_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='NormalizeFloat'),
    dict(type='PackWSSSInputs'),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path=None),
        tags='image_labels.csv',
        pipeline=train_pipeline,
    ),
)
# The random walk takes its images from here; there is nothing to score.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path=None),
        tags='image_labels.csv',
        pipeline=test_pipeline,
    ),
)
test_evaluator = []
