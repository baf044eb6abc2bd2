# SEAM's retraining network: every convolution trains, normalisation layers use
# batch statistics with fixed scale and shift. `num_classes` comes from the dataset
# fragment: the leaf config joins them. Images arrive normalised, so the
# preprocessor only pads: image 0 (the mean colour), mask 255.
norm_cfg = dict(type='BN', momentum=3e-4, requires_grad=False)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', size=(448, 448), pad_val=0, seg_pad_val=255
    ),
    backbone=dict(
        type='ResNet38d', frozen_stages=0, norm_eval=False, norm_cfg=norm_cfg
    ),
    decode_head=dict(
        type='DeepLabV1Head', in_channels=4096, channels=512, norm_cfg=norm_cfg
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='SegLogitsTTAModel')
