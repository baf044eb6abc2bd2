# PASCAL VOC 2012 with the seed scores of its tags' classes, for the affinity stage.
_base_ = ['./steps.py']
dataset_type = 'VOCImageLabelDataset'
data_root = 'data/VOCdevkit/VOC2012'
num_classes = 21  # with the background
crop_size = (448, 448)

train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.load_scores}},
    {{_base_.steps.jitter}},
    # Before the normalisation, so that the padding is black, as in AffinityNet's code.
    dict(type='RandomCropPad', crop_size=crop_size, img_pad=0),
    {{_base_.steps.normalize}},
    {{_base_.steps.flip}},
    dict(type='SeedFromScores', cell=8),
    {{_base_.steps.pack}},
]
test_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    {{_base_.steps.normalize}},
    {{_base_.steps.pack}},
]

# seed_scores_path is what tools/gen_pseudo.py --seed-scores wrote: an absolute path, or
# one below data_root. On the command line the option is
# `train_dataloader.dataset.data_prefix.seed_scores_path=FOLDER`.
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        data_prefix=dict(
            img_path='JPEGImages', seg_map_path=None, seed_scores_path='seed_scores'
        ),
        tags='Annotations',
        tag_source='xml',
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
        tags='Annotations',
        tag_source='xml',
        pipeline=test_pipeline,
    ),
)
test_evaluator = []
