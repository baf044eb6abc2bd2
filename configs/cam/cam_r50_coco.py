# Plain CAM on COCO 2014: cam_r50_voc.py with 5 epochs over 82,081 images. Not trained
# here; the thresholds are VOC's.
_base_ = [
    '../_base_/models/cam_r50.py',
    '../_base_/datasets/coco14_crop512.py',
    '../_base_/schedules/cam_r50.py',
    '../_base_/refinement_psa.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(frozen_stages=2),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
max_iters = 25650
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=5130)
train_dataloader = dict(batch_size=16)
