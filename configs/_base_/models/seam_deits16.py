# SEAM on the network of cam_deits16.py. A view of 0.5 instead of 0.3 is whole patches
# where the crop is twice as many; PCM looks at blocks 9 and 12.
_base_ = ['./cam_deits16.py']
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='EquivariantViews',
        preprocessor={{_base_.model.data_preprocessor}},
        scale=0.5,
    ),
    neck=dict(
        type='PCMNeck',
        in_channels=(384, 384),
        in_indices=(0, 1),
        mid_channels=(64, 128),
        out_channels=192,
    ),
    decode_head=dict(type='SEAMHead'),
    test_cfg=dict(normalization='min_max', background_threshold=0.26),
)
