# AffinityNet on ResNet38d (CVPR 2018).
model = dict(
    type='AffinityNet',
    data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
    # ImageNet weights; make the file with tools/model_converters/convert.py, or
    # start from nothing with --cfg-options model.backbone.init_cfg=None.
    backbone=dict(
        type='ResNet38d',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/resnet38_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    # pairs='complete' gives border cells their neighbours, which is better.
    decode_head=dict(type='AffinityHead', radius=5, stride=8, pairs='psa'),
)
