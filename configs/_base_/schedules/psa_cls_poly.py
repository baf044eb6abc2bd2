# Schedule of AffinityNet's CAM networks: 15 epochs over 10,582 images in batches of
# 16 are 9,915 steps. Momentum and groups: see seam_poly.py. The released default rate
# is 0.1, for VGG-16; ResNet-38 needs about 0.01.
max_iters = 9915
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=5e-4, weight_decay=5e-4),
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={'decode_head': dict(lr_mult=10.0)},
    ),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=1983)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
