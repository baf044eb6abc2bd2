_base_ = [
    '../_base_/models/cam_vgg16.py',
    '../_base_/datasets/voc12.py',
    '../_base_/schedules/psa_cls_poly.py',
    '../_base_/refinement_psa.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
# AffinityNet trains on smaller images than SEAM.
train_pipeline = [
    dict(type='LoadRGBImage'),
    dict(type='RandomResizeLong', low=256, high=512),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size={{_base_.crop_size}}),
    dict(type='PackWSSSInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.1))
