"""The embedding of SEAM's pixel correlation module (PCM)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss_mm.models.structures import Features
from wsss_mm.registry import MODELS

from .base_image_neck import BaseImageNeck


@MODELS.register_module()
class PCMNeck(BaseImageNeck):
    """Append a pixel embedding of the image and two feature maps.

    The neck embeds, the head propagates: :class:`SEAMHead` compares these
    embeddings to spread a CAM over pixels that look alike.

    Args:
        in_channels: Channels of the two feature maps.
        in_indices: Where they stand among the backbone's outputs.
        mid_channels: Channels each is squeezed to.
        out_channels: Channels of the embedding.

    Reference:
        SEAM (CVPR 2020), section 3.3, and its released code, whose names
        ``f8_3``, ``f8_4`` and ``f9`` are kept.

    Note:
        As in the released code the features are detached: the module learns how
        pixels resemble each other and never moves the backbone.
    """

    def __init__(
        self,
        in_channels: tuple[int, int] = (512, 1024),
        in_indices: tuple[int, int] = (1, 2),
        *,
        mid_channels: tuple[int, int] = (64, 128),
        out_channels: int = 192,
    ) -> None:
        super().__init__()
        self.in_indices = tuple(in_indices)
        self.f8_3 = nn.Conv2d(in_channels[0], mid_channels[0], 1, bias=False)
        self.f8_4 = nn.Conv2d(in_channels[1], mid_channels[1], 1, bias=False)
        self.f9 = nn.Conv2d(3 + sum(mid_channels), out_channels, 1, bias=False)
        self.out_channels = out_channels

    def init_weights(self) -> None:
        """Initialise as the reference does: Kaiming, and Xavier with gain 4."""
        super().init_weights()
        nn.init.kaiming_normal_(self.f8_3.weight)
        nn.init.kaiming_normal_(self.f8_4.weight)
        nn.init.xavier_uniform_(self.f9.weight, gain=4)

    def forward(self, features: Features, image: Tensor) -> Features:
        """Embed the pixels of a batch.

        Args:
            features: The backbone's outputs; the last one sets the size (h, w).
            image: The network's input, shape (B, 3, H, W).

        Returns:
            The features followed by the embedding, shape (B, D, h, w).
        """
        size = features[-1].shape[-2:]
        low, high = (features[i].detach() for i in self.in_indices)
        parts = [image, F.relu(self.f8_3(low)), F.relu(self.f8_4(high))]
        aligned = [
            part
            if part.shape[-2:] == size
            else F.interpolate(part, size, mode='bilinear', align_corners=True)
            for part in parts
        ]
        return (*features, self.f9(torch.cat(aligned, dim=1)))
