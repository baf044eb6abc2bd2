# Steps, and the chains that name them, `--refine NAME` of tools/gen_pseudo.py. A step
# is looked up when its chain runs, so `--cfg-options walk.beta=16` changes every chain
# with a `walk`. All begin with the background's score: one minus the strongest class,
# to the power alpha. An alpha that acts like the threshold t on a single class is
# ln t / ln(1 - t): 4.3 for 0.26.
# SEAM's constants; refinement_psa.py has AffinityNet's.
background = dict(type='PowerBackground', alpha=6)
walk = dict(type='RandomWalkRefiner', beta=8, steps=64)
crf = dict(type='DenseCRFRefiner', parameters='soft1')
pamr = dict(type='PAMRRefiner')
# The pixel-adaptive refinement of AFA and WeCLIP, which is not PAMR.
par = dict(type='PARRefiner', iterations=20)
refine = dict(
    crf=['crf'], rw=['walk'], rw_crf=['walk', 'crf'], pamr=['pamr'], par=['par']
)
# What an affinity network learns from: dense CRF of the CAMs with a strong and with a
# weak background. The two alphas must lie on either side of the best one.
training_scores = dict(
    type='TrainingScores', low_alpha=4, high_alpha=24, parameters='soft'
)
