_base_ = [
    '../_base_/models/affinity_vgg16.py',
    '../_base_/datasets/voc12_affinity.py',
    '../_base_/schedules/affinity_poly.py',
    '../_base_/default_runtime.py',
]
optim_wrapper = dict(optimizer=dict(lr=0.1))
