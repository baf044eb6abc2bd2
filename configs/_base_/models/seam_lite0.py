# SEAM on the network of cam_lite0.py.
_base_ = ['./cam_lite0.py']
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='EquivariantViews',
        preprocessor={{_base_.model.data_preprocessor}},
        scale=0.5,
    ),
    neck=dict(
        type='PCMNeck',
        in_channels=(40, 112),
        in_indices=(2, 3),
        mid_channels=(32, 64),
        out_channels=128,
    ),
    decode_head=dict(type='SEAMHead'),
    test_cfg=dict(normalization='min_max', background_threshold=0.26),
)
