# SEAM on COCO 2014: VOC's recipe with 8 epochs over 82,081 images. SEAM's authors
# publish none; not trained here.
_base_ = [
    '../_base_/models/seam_r38.py',
    '../_base_/datasets/coco14.py',
    '../_base_/schedules/seam_poly.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
max_iters = 82080
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=10260)
