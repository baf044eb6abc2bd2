# AffinityNet's constants: for CAMs of a plain classifier, divided by their maximum.
_base_ = ['./refinement.py']
background = dict(alpha=16)
walk = dict(type='RandomWalkRefiner', beta=8, steps=256)
refine = dict(rw=[walk], rw_crf=[walk, {{_base_.crf}}])
training_scores = dict(high_alpha=32)
