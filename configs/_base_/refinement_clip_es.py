# The released code of CLIP-ES: the background is one minus the strongest class, dense
# CRF with parameters of its own, and what it is not sure of is left out of the masks.
# Scores are float32 and the image is plain RGB; the released code rounds scores to
# float16 and wraps a BGR image around 256, see configs/clip_es/README.md.
background = dict(type='PowerBackground', alpha=1)
walk = dict(type='RandomWalkRefiner', beta=8, steps=64)
crf = dict(type='DenseCRFRefiner', parameters='clip_es')
pamr = dict(type='PAMRRefiner')
par = dict(type='PARRefiner')
unsure = dict(type='IgnoreUnsure', confidence=0.95)
refine = dict(
    clip_es_crf=['crf', 'unsure'],
    # The same masks whole, to be scored.
    crf=['crf'],
    rw=['walk'],
    rw_crf=['walk', 'crf'],
    pamr=['pamr'],
    par=['par'],
)
default_refine = 'clip_es_crf'
# For an affinity network; not of the paper and not measured.
training_scores = dict(
    type='TrainingScores', low_alpha=0.5, high_alpha=4, parameters='soft'
)
