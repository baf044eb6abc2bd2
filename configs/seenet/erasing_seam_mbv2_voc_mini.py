# SeeNet's erasing on SEAM: SEAM's losses stay, its CAM takes the place of branch A.
_base_ = '../seam/seam_mbv2_voc_mini.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='AddedErasingHead',
        base=dict(type='SEAMHead', in_channels=320, dropout_ratio=0.0),
        in_channels=320,
        in_index=-2,  # the embedding is last
        num_classes={{_base_.num_classes}},
        channels=(),
        test_thresholds=(0.8, 0.0),
    ),
    test_cfg=dict(normalization='max', background_threshold=0.26),
)
