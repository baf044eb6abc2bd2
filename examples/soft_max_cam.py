"""Learn the image tags from a soft maximum of the CAM instead of its mean."""

import math

import torch
from torch import Tensor

from wsss_mm.functional import tag_loss
from wsss_mm.models.decode_heads import CAMHead
from wsss_mm.models.structures import Context
from wsss_mm.registry import MODELS


def soft_max_pool(cam: Tensor, sharpness: float) -> Tensor:
    """Pool every map by log-mean-exp, between its mean and its maximum.

    Args:
        cam: Raw activations, shape (B, C, h, w).
        sharpness: Towards 0 the mean, towards infinity the maximum.

    Returns:
        Scores, shape (B, C).

    Raises:
        ValueError: If the sharpness is not positive.

    Reference:
        Pinheiro and Collobert, "From Image-level to Pixel-level Labeling with
        Convolutional Networks", CVPR 2015, equation 2.
    """
    if sharpness <= 0:
        raise ValueError(f'sharpness must be positive, got {sharpness}')
    flat = sharpness * cam.flatten(2)
    return (flat.logsumexp(dim=2) - math.log(flat.shape[2])) / sharpness


@MODELS.register_module()
class SoftMaxCAMHead(CAMHead):
    """Plain CAM whose tag logits are soft maxima.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        sharpness: Of the soft maximum.
        dropout_ratio: Channel dropout before the classifier.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        sharpness: float = 4.0,
        dropout_ratio: float = 0.5,
    ) -> None:
        super().__init__(in_channels, num_classes, dropout_ratio=dropout_ratio)
        self.sharpness = sharpness

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compare the soft maxima of the full view with the tags."""
        logits = soft_max_pool(self.raw_cam(context), self.sharpness)
        return {'loss_cls': tag_loss(logits, self.labels_of(context))}

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the rectified CAM and its soft maxima."""
        cam = self.raw_cam(context)
        return torch.relu(cam), soft_max_pool(cam, self.sharpness)
