# DeepLabV3+ as Puzzle-CAM retrains it: 50 epochs over 10,582 images in batches of 32.
# Momentum: see seam_poly.py.
max_iters = 16500
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.007, momentum=4e-5, weight_decay=4e-5, nesterov=True
    ),
    # Weights x1, biases x2 without decay, those of the head x10 and x20: of the keys
    # found in a parameter's name, MMEngine takes the longest.
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'bias': dict(lr_mult=2.0, decay_mult=0.0),
            **{
                f'decode_head.{layer}.bias': dict(lr_mult=20.0, decay_mult=0.0)
                for layer in (
                    *('aspp.0.gn', 'aspp.1.gn', 'aspp.2.gn', 'aspp.3.gn', 'pool.gn'),
                    *('bottleneck.gn', 'reduce.gn', 'fuse.0.gn', 'fuse.1.gn'),
                    'conv_seg',
                )
            },
        },
    ),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
