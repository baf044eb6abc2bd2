# Schedule of Puzzle-CAM's edge branch: 3 epochs over 10,582 images in batches of 32,
# the last incomplete one dropped, one rate for all. Momentum: see seam_poly.py.
max_iters = 990
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=1e-4, weight_decay=1e-4, nesterov=True),
)
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
# An affinity has no ground truth to be scored with: the refined masks are scored.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
