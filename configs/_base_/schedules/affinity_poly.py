# Schedule of AffinityNet: 8 epochs over 10,582 images in batches of 8, the last
# incomplete one dropped, are 10,576 steps. Momentum: see seam_poly.py. The released
# default rate is 0.1, for VGG-16; ResNet-38 needs 0.01.
max_iters = 10576
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=5e-4, weight_decay=5e-4),
    # Pretrained weights x1, their biases x2 without decay, new weights x10. The
    # head's normalisation (VGG-16) counts as pretrained in the released code.
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'decode_head.norms': dict(lr_mult=1.0),
            'decode_head.norms.0.bias': dict(lr_mult=2.0, decay_mult=0.0),
            'decode_head.norms.1.bias': dict(lr_mult=2.0, decay_mult=0.0),
            'decode_head.norms.2.bias': dict(lr_mult=2.0, decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
# An affinity has no ground truth to be scored with: the refined masks are scored.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
