# WeCLIP's recipe for COCO; see weclip_30k.py.
_base_ = ['./weclip_30k.py']
max_iters = 80000
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=51, by_epoch=False),
    dict(
        type='LinearLR',
        start_factor=1 - 50 / max_iters,
        end_factor=1 / max_iters,
        begin=50,
        end=max_iters,
        by_epoch=False,
    ),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
