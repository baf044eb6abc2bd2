# WeCLIP+ in its one stage: frozen DINOv2 beside frozen CLIP, see README.md.
_base_ = ['./weclip_vitb16_voc.py']
model = dict(
    type='WeCLIPPlus',
    backbone=dict(
        _delete_=True,
        type='CLIPWithDINO',
        clip=dict(
            type='CLIPVisionTransformer',
            partial_patches='drop',
            init_cfg=dict(
                type='Pretrained',
                checkpoint={{_base_.clip_weights}},
                prefix='backbone.',
            ),
        ),
        # MMPretrain's vit-small-p14_dinov2-pre_3rdparty.
        dino=dict(
            type='mmpretrain.VisionTransformer',
            arch='dinov2-small',
            img_size=518,
            patch_size=14,
            out_type='featmap',
            layer_scale_init_value=1e-5,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='data/weights/vit-small-p14_dinov2-pre_3rdparty.pth',
                prefix='backbone.',
            ),
        ),
    ),
    decode_head=dict(
        _delete_=True,
        type='WeCLIPPlusHead',
        in_channels=768,
        num_classes={{_base_.num_classes}},
        dino_channels=384,
    ),
    # As released for VOC: maps spread from everywhere, and block 11 is skipped.
    pseudo_masks=dict(box_threshold=None, cam_map=-2),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
custom_hooks = [
    dict(type='AffinitySwitchHook', begin=18001, switch='trusts_prediction')
]
