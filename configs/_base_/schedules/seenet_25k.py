# SeeNet: 25,000 steps of batch 16, the rate 1e-3 divided by ten after 15,000, weight
# decay 2e-4; biases x2 without decay, new layers no faster than the rest. The momentum
# is not in the sources we have: 0.9 is that of the only public port.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=2e-4),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
)
max_iters = 25000
param_scheduler = [
    dict(
        type='MultiStepLR',
        milestones=[15000],
        gamma=0.1,
        begin=0,
        end=max_iters,
        by_epoch=False,
    )
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
