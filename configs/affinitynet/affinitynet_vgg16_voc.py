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
    {{_base_.steps.load}},
    {{_base_.steps.to_rgb}},
    dict(type='RandomResizeLong', low=256, high=512),
    {{_base_.steps.flip}},
    {{_base_.steps.jitter}},
    {{_base_.steps.normalize}},
    # The padding is the mean colour of this network (R, G, B), which the preprocessor
    # turns into 0.
    dict(
        type='RandomCropPad',
        crop_size={{_base_.crop_size}},
        img_pad=[
            (122.675 - 123.675) / 58.395,
            (116.669 - 116.28) / 57.12,
            (104.008 - 103.53) / 57.375,
        ],
    ),
    {{_base_.steps.pack}},
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.1))
