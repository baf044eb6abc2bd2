_base_ = [
    '../_base_/models/seam_dinov2s14.py',
    '../_base_/datasets/voc12.py',
    '../_base_/schedules/vit_adamw.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
