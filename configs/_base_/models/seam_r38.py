# SEAM on ResNet38d (CVPR 2020).
_base_ = ['./cam_r38.py']
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='EquivariantViews',
        preprocessor={{_base_.model.data_preprocessor}},
        scale=0.3,
    ),
    neck=dict(type='PCMNeck', in_channels=(512, 1024), in_indices=(1, 2)),
    decode_head=dict(type='SEAMHead'),
    test_cfg=dict(normalization='min_max', background_threshold=0.26),
)
