# Puzzle-CAM on COCO 2014: puzzle_cam_r50_voc.py with 15 epochs over 82,081 images. Not
# trained here; the thresholds are VOC's.
_base_ = [
    '../_base_/models/puzzle_cam_r50.py',
    '../_base_/datasets/coco14_crop512.py',
    '../_base_/schedules/puzzle_cam.py',
    '../_base_/refinement_edge.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
max_iters = 38475
param_scheduler = [
    dict(type='ReferencePolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=2565)
train_dataloader = dict(batch_size=32)
