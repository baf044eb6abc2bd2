# SeeNet on VGG-16 (NeurIPS 2018), after the released deploy network.
model = dict(
    type='CAMEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        # The pipelines give RGB normalised as torchvision does; Caffe's weights want
        # BGR with a mean taken off: undo the one, do the other.
        rgb_to_bgr=True,
        mean=[
            (104.007 - 103.53) / 57.375,
            (116.669 - 116.28) / 57.12,
            (122.679 - 123.675) / 58.395,
        ],
        std=[1 / 57.375, 1 / 57.12, 1 / 58.395],
    ),
    # ImageNet weights; make the file with tools/model_converters/convert.py, or start
    # from nothing with --cfg-options model.backbone.init_cfg=None.
    backbone=dict(
        type='VGG16SeeNet',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='data/weights/vgg16_imagenet.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(
        type='ErasingHead',
        in_channels=512,
        channels=(512, 512),
        dropout_ratio=0.5,
        thresholds=(0.7, 0.05),
        # The deploy network's thresholds, which reverse nothing; remove the line to
        # predict with those of the paper.
        test_thresholds=(0.8, 0.0),
        # Caffe's loss layer sums over the 20 classes where ours takes the mean.
        loss_weight=20.0,
    ),
    # Nobody published a threshold for SeeNet without saliency maps: this is ours.
    test_cfg=dict(normalization='max', background_threshold=0.3),
)
# An image and its mirror; more scales would need another fusion.
tta_model = dict(type='MaxCAMTTAModel')
