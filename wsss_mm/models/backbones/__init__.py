from .resnet38d import ResNet38d
from .vgg16_wsss import VGG16WSSS, VGG16SeeNet

__all__ = ['VGG16WSSS', 'ResNet38d', 'VGG16SeeNet']
