# Puzzle-CAM, stage 3: DeepLabV3+ on ResNeSt-101, trained on the pseudo masks in
# `pseudo_masks`.
_base_ = [
    '../_base_/models/deeplabv3plus_resnest101.py',
    '../_base_/datasets/voc12_seg_crop512.py',
    '../_base_/schedules/deeplabv3plus_puzzle_cam.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
