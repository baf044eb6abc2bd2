# Plain CAM on MMPretrain's DINOv2-S. Crops and views must be whole patches of 14
# pixels; the file is MMPretrain's vit-small-p14_dinov2-pre_3rdparty.
_base_ = ['./cam_deits16.py']
model = dict(
    backbone=dict(
        arch='dinov2-small',
        img_size=518,
        patch_size=14,
        layer_scale_init_value=1e-5,
        init_cfg=dict(checkpoint='data/weights/vit-small-p14_dinov2-pre_3rdparty.pth'),
    ),
)
