from .attention_vit import AttentionViT
from .clip_dino import CLIPWithDINO
from .clip_vit import CLIPVisionTransformer
from .resnest_wsss import ResNeStWSSS
from .resnet38d import ResNet38d
from .resnet_stem import ResNeStStem, ResNetStem
from .timm_wsss import TIMMBackboneWSSS
from .vgg16_wsss import VGG16WSSS, VGG16SeeNet

__all__ = [
    'VGG16WSSS',
    'AttentionViT',
    'CLIPVisionTransformer',
    'CLIPWithDINO',
    'ResNeStStem',
    'ResNeStWSSS',
    'ResNet38d',
    'ResNetStem',
    'TIMMBackboneWSSS',
    'VGG16SeeNet',
]
