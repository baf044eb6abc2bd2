_base_ = [
    '../_base_/models/cam_r38.py',
    '../_base_/datasets/voc12.py',
    '../_base_/schedules/psa_cls_poly.py',
    '../_base_/refinement_psa.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# AffinityNet trains on smaller images than SEAM.
train_pipeline = [
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(type='RandomResizeLong', low=256, high=512),
    {{_base_.steps.flip}},
    {{_base_.steps.jitter}},
    {{_base_.steps.normalize}},
    dict(type='RandomCropPad', crop_size={{_base_.crop_size}}),
    {{_base_.steps.pack}},
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
