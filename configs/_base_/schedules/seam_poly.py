# Schedule of SEAM's CAM network: 8 epochs over 10,582 images in batches of 8, the
# last incomplete one dropped, are 10,576 steps. AffinityNet shares everything but
# the rate. Set the batch size (8) in the leaf config's train_dataloader.
#
# momentum: the released optimiser hands its weight decay to SGD in the place of the
# momentum, so the published numbers were made with momentum 5e-4. Real momentum 0.9
# would multiply the effective learning rate by ten.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=5e-4, weight_decay=5e-4),
    # Pretrained weights x1, pretrained biases x2 without decay, new weights x10,
    # new biases x20 without decay. MMEngine takes the longest key found in a
    # parameter's name, and a name that matches none falls to the bias rules.
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'neck': dict(lr_mult=10.0),
            'decode_head.classifier.bias': dict(lr_mult=20.0, decay_mult=0.0),
        },
    ),
)
max_iters = 10576
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=1322)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
