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
    dict(type='LoadRGBImage'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='NormalizeFloat')],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]
# Train configs/cam/cam_r18_synth_pretrain.py first; the demo does.
load_from = 'work_dirs/cam_r18_synth_pretrain/iter_600.pth'
# Higher than the threshold says: the walk flattens maps that are this uneven. With 12,
# as the plain CAM's, the masks miss half of what they should cover (see README.md).
background = dict(alpha=60)
training_scores = dict(low_alpha=12, high_alpha=60)
