_base_ = [
    '../_base_/models/seenet_r18.py',
    '../_base_/datasets/synth_voc.py',
    '../_base_/schedules/cam_synth.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(num_classes={{_base_.num_classes}}),
    test_cfg=dict(background_threshold=0.12),
)
# As SeeNet predicts: an image and its mirror, the stronger of the two.
tta_model = dict(type='MaxCAMTTAModel')
tta_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(
        type='TestTimeAug',
        transforms=[
            {{_base_.steps.mirrors}},
            [{{_base_.steps.normalize}}],
            [{{_base_.steps.load_truth}}],
            [{{_base_.steps.pack}}],
        ],
    ),
]
# Train configs/cam/cam_r18_synth_pretrain.py first; the demo does.
load_from = 'work_dirs/cam_r18_synth_pretrain/iter_600.pth'
# Set where these CAMs' background lies, see the threshold of their masks.
background = dict(alpha=16)
training_scores = dict(low_alpha=12, high_alpha=60)
# The walk flattens maps, so its background stands lower (see README.md).
walk_background = dict(type='PowerBackground', alpha=60)
walked = ['walk_background', 'walk']
refine = dict(rw=walked, rw_crf=[*walked, 'crf'])
