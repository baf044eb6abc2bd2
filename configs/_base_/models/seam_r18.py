# SEAM on the network of cam_r18.py.
_base_ = ['./cam_r18.py']
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='EquivariantViews',
        preprocessor={{_base_.model.data_preprocessor}},
        # 0.3 of a 128-pixel crop would leave nothing to recognise.
        scale=0.6,
    ),
    neck=dict(
        type='PCMNeck',
        # From scratch, only the early features tell bodies from backgrounds.
        in_channels=(16, 32),
        in_indices=(0, 1),
        mid_channels=(32, 32),
        out_channels=64,
    ),
    decode_head=dict(type='SEAMHead'),
    test_cfg=dict(normalization='min_max', background_threshold=0.45),
)
