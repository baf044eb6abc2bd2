# Plain CAM on ResNet-50 as IRN trains it: 5 epochs over 10,582 images in batches of
# 16, rate 0.1 with the classifier x10. The released optimiser's effective momentum
# is its weight decay (see seam_poly.py).
max_iters = 3305
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=1e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
