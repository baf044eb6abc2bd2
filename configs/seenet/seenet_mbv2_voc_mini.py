_base_ = [
    '../_base_/models/seenet_mbv2.py',
    '../_base_/datasets/voc_mini.py',
    '../_base_/schedules/cam_voc_mini.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# Acts like the threshold of the masks on a single class.
background = dict(alpha=7)
training_scores = dict(low_alpha=4, high_alpha=16)
