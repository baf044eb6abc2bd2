_base_ = [
    '../_base_/models/affinity_r38.py',
    '../_base_/datasets/voc12_affinity.py',
    '../_base_/schedules/affinity_poly.py',
    '../_base_/default_runtime.py',
]
