# CAM networks on SynthVOC, from the weights of cam_r18_synth_pretrain.py.
#
# The pixel correlation module learns thirty times slower than the rest, not ten times
# faster as in the papers' recipe. Its teacher is the CAM of the other view, and where
# that misses most of the body it teaches that bodies resemble the background: the
# longer it learns, the less it spreads. With multipliers 10, 1, 0.1 and 0.03 SEAM's
# best mIoU on 150 train images was 51.9, 51.4, 54.6 and 57.1, against 50.8 for the
# plain CAM (seed 1, one run each).
max_iters = 200
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=10),
    paramwise_cfg=dict(custom_keys={'neck': dict(lr_mult=0.03)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=20, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=20, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
