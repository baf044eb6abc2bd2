_base_ = [
    '../_base_/models/affinity_mbv2.py',
    '../_base_/datasets/voc_mini_affinity.py',
    '../_base_/schedules/affinity_voc_mini.py',
    '../_base_/default_runtime.py',
]
