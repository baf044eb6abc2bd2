_base_ = [
    '../_base_/models/cam_r18.py',
    '../_base_/datasets/synth_voc.py',
    '../_base_/schedules/cam_synth.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# Train configs/cam/cam_r18_synth_pretrain.py first; the demo does.
load_from = 'work_dirs/cam_r18_synth_pretrain/iter_600.pth'
# Set where these CAMs' background lies, see the threshold of their masks.
background = dict(alpha=12)
training_scores = dict(low_alpha=6, high_alpha=24)
# A walk on a map of 32 x 32 cells gets anywhere in a few steps: hold it tighter.
walk = dict(beta=16)
# It flattens maps, too, so its background stands lower (see README.md).
walk_background = dict(type='PowerBackground', alpha=25)
walked = ['walk_background', 'walk']
refine = dict(rw=walked, rw_crf=[*walked, 'crf'])
