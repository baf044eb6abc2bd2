# Chains like those of refinement.py, with Puzzle-CAM's constants: the walk goes between
# edges, and the background is a threshold.
background = dict(type='ThresholdBackground', threshold=0.2)
walk = dict(type='EdgeWalkRefiner', beta=10, steps=256)
walked_background = dict(type='ThresholdBackground', threshold=0.35)
crf = dict(type='LabelCRFRefiner', parameters='label1')
pamr = dict(type='PAMRRefiner')
par = dict(type='PARRefiner', iterations=20)
refine = dict(
    crf=['crf'],
    rw=['walk', 'walked_background'],
    rw_crf=['walk', 'walked_background', 'crf'],
    pamr=['pamr'],
    par=['par'],
)
# What an edge network learns from: labels that dense CRF gives beside either threshold.
training_scores = dict(
    type='ConfidentTrainingScores',
    foreground_threshold=0.40,
    background_threshold=0.10,
    parameters='label',
)
