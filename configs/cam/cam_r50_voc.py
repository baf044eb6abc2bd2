# Plain CAM as IRN trains it, the field's common yardstick.
_base_ = [
    '../_base_/models/cam_r50.py',
    '../_base_/datasets/voc12_crop512.py',
    '../_base_/schedules/cam_r50.py',
    '../_base_/refinement_edge.py',
    '../_base_/default_runtime.py',
]
model = dict(
    # IRN cuts the gradient behind the second stage: everything before is fixed.
    backbone=dict(frozen_stages=2),
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
train_dataloader = dict(batch_size=16)
background = dict(threshold=0.15)
training_scores = dict(foreground_threshold=0.30, background_threshold=0.05)
walked_background = dict(threshold=0.25)
