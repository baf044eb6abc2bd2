# SeeNet, stage 3: DeepLabV2 on ResNet-101, trained on the pseudo masks in
# `pseudo_masks` as SEAM's is.
_base_ = ['../seam/seam_r38_voc_deeplabv2_r101.py']
