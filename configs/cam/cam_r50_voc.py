_base_ = [
    '../_base_/models/cam_r50.py',
    '../_base_/datasets/voc12.py',
    '../_base_/schedules/cam_r50.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# As AffinityNet refines the CAMs of a plain classifier.
background = dict(alpha=16)
walk = dict(type='RandomWalkRefiner', beta=8, steps=256)
refine = dict(rw=[walk], rw_crf=[walk, {{_base_.crf}}])
training_scores = dict(high_alpha=32)
