# Puzzle-CAM on the network of cam_r50.py; its BatchNorm trains too.
_base_ = ['./cam_r50.py']
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='PuzzleViews',
        preprocessor={{_base_.model.data_preprocessor}},
        pieces=4,
    ),
    backbone=dict(norm_eval=False),
    decode_head=dict(type='PuzzleCAMHead'),
    test_cfg=dict(background_threshold=0.2),
)
custom_hooks = [dict(type='ReconstructionRampHook', maximum=4.0, ramp=0.5)]
