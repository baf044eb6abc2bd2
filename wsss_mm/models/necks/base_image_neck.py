"""The contract of a neck that sees the image beside the features."""

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from wsss_mm.models.structures import Features


class BaseImageNeck(BaseModule):
    """Turn features and the image they are of into features.

    A stock neck is called with the features alone; :class:`CAMEncoderDecoder` gives the
    image to subclasses of this one.
    """

    @abstractmethod
    def forward(self, features: Features, image: Tensor) -> Features:
        """Compute feature maps.

        Args:
            features: The backbone's outputs, each of shape (B, D, h, w).
            image: The network's input, shape (B, 3, H, W).
        """
