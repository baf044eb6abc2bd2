# Puzzle-CAM's pieces on SEAM: SEAM's views and losses stay, the pieces' are added.
_base_ = '../seam/seam_r18_synth.py'
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='PuzzleViews',
        preprocessor={{_base_.model.data_preprocessor}},
        pieces=4,
    ),
    decode_head=dict(
        _delete_=True,
        type='AddedPuzzleHead',
        base=dict(type='SEAMHead', in_channels=128, dropout_ratio=0.0),
        num_classes={{_base_.num_classes}},
    ),
)
custom_hooks = [dict(type='ReconstructionRampHook', maximum=1.0, ramp=0.5)]
