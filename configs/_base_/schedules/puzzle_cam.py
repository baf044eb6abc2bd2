# Schedule of Puzzle-CAM's classifier: 15 epochs over 10,582 images in batches of 32,
# the last incomplete one dropped, are 4,950 steps. Momentum: see seam_poly.py.
max_iters = 4950
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=1e-4, weight_decay=1e-4, nesterov=True),
    # Weights x1, biases x2 without decay (BatchNorm's too), the classifier x10. Of the
    # keys found in a parameter's name, MMEngine takes the longest.
    paramwise_cfg=dict(
        custom_keys={
            'bias': dict(lr_mult=2.0, decay_mult=0.0),
            'decode_head': dict(lr_mult=10.0),
        },
    ),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
