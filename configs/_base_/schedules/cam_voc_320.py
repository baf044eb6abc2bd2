# 1,800 batches of 16 crops: four epochs over `trainaug` of voc_320, new layers x10.
max_iters = 1800
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=10),
    paramwise_cfg=dict(
        custom_keys={'decode_head': dict(lr_mult=10.0), 'neck': dict(lr_mult=10.0)}
    ),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
