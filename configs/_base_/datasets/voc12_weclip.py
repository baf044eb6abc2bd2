# PASCAL VOC 2012 trained from the tags of its detection XML, and tested without tags.
_base_ = ['./voc12_seg_crop320.py']
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(
        type='RandomRescale',
        low=0.5,
        high=2.0,
        interpolation='bilinear',
        backend='pillow',
    ),
    {{_base_.steps.flip}},
    # Before the normalisation, so that the padding is black.
    dict(type='RandomCropPad', crop_size={{_base_.crop_size}}, img_pad=0),
    {{_base_.steps.normalize}},
    {{_base_.steps.pack}},
]
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='JPEGImages', seg_map_path=None),
        tags='Annotations',
        tag_source='xml',
        pipeline=train_pipeline,
    )
)
