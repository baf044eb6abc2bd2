# Puzzle-CAM, the affinity stage: edges learned from confident labels.
_base_ = [
    '../_base_/models/edge_resnest101.py',
    '../_base_/datasets/voc12_edge.py',
    '../_base_/schedules/edge_poly.py',
    '../_base_/default_runtime.py',
]
