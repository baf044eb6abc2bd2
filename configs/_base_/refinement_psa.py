# AffinityNet's constants: for CAMs of a plain classifier, divided by their maximum.
_base_ = ['./refinement.py']
background = dict(alpha=16)
walk = dict(steps=256)
training_scores = dict(high_alpha=32)
