_base_ = [
    '../_base_/models/seam_mbv2.py',
    '../_base_/datasets/voc_mini.py',
    '../_base_/schedules/cam_voc_mini.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# Chosen on every ninth train image, with its mask.
background = dict(alpha=3)
walk = dict(beta=16)
training_scores = dict(low_alpha=1, high_alpha=6)
