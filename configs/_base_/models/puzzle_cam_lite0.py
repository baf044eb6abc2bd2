# Puzzle-CAM on the network of cam_lite0.py.
_base_ = ['./cam_lite0.py']
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='PuzzleViews',
        preprocessor={{_base_.model.data_preprocessor}},
        pieces=4,
    ),
    decode_head=dict(type='PuzzleCAMHead'),
)
custom_hooks = [dict(type='ReconstructionRampHook', maximum=4.0, ramp=0.5)]
