# DeepLabV2's own recipe (its section 4.1): lr 2.5e-4, new layers x10, poly 0.9,
# 20,000 steps, batch 10, 321 x 321 crops, statistics of the backbone fixed.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
    # New weights x10, new biases x20 without decay. The four dilated classifiers
    # are decode_head.conv_seg.branches.0 to .3.
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'decode_head.conv_seg.branches.0.bias': dict(lr_mult=20.0, decay_mult=0.0),
            'decode_head.conv_seg.branches.1.bias': dict(lr_mult=20.0, decay_mult=0.0),
            'decode_head.conv_seg.branches.2.bias': dict(lr_mult=20.0, decay_mult=0.0),
            'decode_head.conv_seg.branches.3.bias': dict(lr_mult=20.0, decay_mult=0.0),
        },
    ),
)
max_iters = 20000
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
