# DeepLabV2 on the narrow ResNet-18 of cam_r18.py, for SynthVOC.
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', size_divisor=1, pad_val=0, seg_pad_val=255
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 1, 1),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        # The tag classifier takes the place of ImageNet weights.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/cam_r18_synth_pretrain/iter_600.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(type='DeepLabV2Head', in_channels=128, dilations=(1, 2, 4, 6)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='SegLogitsTTAModel')
