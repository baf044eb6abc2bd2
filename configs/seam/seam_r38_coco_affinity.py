# SEAM on COCO 2014, the affinity stage: as many steps as on VOC, about one epoch.
_base_ = [
    '../_base_/models/affinity_r38.py',
    '../_base_/datasets/coco14_affinity.py',
    '../_base_/schedules/affinity_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(pairs='seam'))
