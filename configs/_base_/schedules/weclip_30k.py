# WeCLIP's recipe: AdamW, 2e-4 x10 for all that learns (decoder and fuse), decay of
# norms and biases too; the rate grows over `warm_up` steps, and is 1 - t / max_iters
# from then on, of step t counted from the beginning.
max_iters = 30000
warm_up = 50
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=warm_up + 1, by_epoch=False),
    dict(
        type='LinearLR',
        start_factor=1 - warm_up / max_iters,
        end_factor=1 / max_iters,
        begin=warm_up,
        end=max_iters,
        by_epoch=False,
    ),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
