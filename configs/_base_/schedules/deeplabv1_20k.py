# Retraining of SEAM's DeepLabV1: batch 10, 448 x 448 crops, a real momentum of 0.9.
# The rate before step t is lr * (1 - t / (max_iters + 1)) ** 0.9, hence the end.
# Scale and shift of the normalisation layers are fixed by the model's norm_cfg.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=5e-4),
    # x1, x2 (biases, no decay), x10 (new weights), x20 (new biases, no decay); the
    # longest key found in a parameter's name wins.
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'decode_head.conv_seg.bias': dict(lr_mult=20.0, decay_mult=0.0),
        },
    ),
)
max_iters = 20000
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters + 1, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
