# 6 epochs over the 80 images in batches of 16.
_base_ = ['./cam_voc_320.py']
max_iters = 30
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
