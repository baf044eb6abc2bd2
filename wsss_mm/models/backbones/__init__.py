from .resnest_wsss import ResNeStWSSS
from .resnet38d import ResNet38d
from .resnet_stem import ResNeStStem, ResNetStem
from .timm_wsss import TIMMBackboneWSSS
from .vgg16_wsss import VGG16WSSS, VGG16SeeNet

__all__ = [
    'VGG16WSSS',
    'ResNeStStem',
    'ResNeStWSSS',
    'ResNet38d',
    'ResNetStem',
    'TIMMBackboneWSSS',
    'VGG16SeeNet',
]
