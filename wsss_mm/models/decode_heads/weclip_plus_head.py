"""WeCLIP+'s decoder: one for the features of CLIP and those of DINOv2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss_mm.functional import (
    balanced_cross_entropy,
    dice_loss,
    mutual_loss,
    trusted_label,
)
from wsss_mm.models.structures import BackboneOutput, Features
from wsss_mm.registry import MODELS

from .base_weclip_head import BaseWeCLIPHead, BlockMLP


@MODELS.register_module()
class WeCLIPPlusHead(BaseWeCLIPHead):
    """Decode CLIP's last features and DINOv2's by the same transformer blocks.

    The prediction is the mean of both. The branches share the affinity, are trained
    together, and teach each other.

    Args:
        in_channels: Channels of CLIP's features.
        num_classes: Classes of the dataset, background included (K).
        dino_channels: Channels of DINOv2's features, the first of the maps.
        channels: Width of the fused features.
        num_layers: Transformer blocks of the decoder.
        num_heads: Their attention heads.
        radius: Pairs of cells are compared up to this many rows and columns apart.
        dropout_ratio: Channel dropout of the fused features.

    Attributes:
        trusts_prediction: Whether what the network is sure of overwrites its labels;
            :class:`AffinitySwitchHook` sets it.

    Reference:
        Zhang et al., WeCLIP+, TPAMI 2025, and its released code,
        https://github.com/zbf1991/WeCLIP.
    """

    trusts_prediction: bool = False

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dino_channels: int = 384,
        channels: int = 256,
        num_layers: int = 3,
        num_heads: int = 8,
        radius: int = 8,
        dropout_ratio: float = 0.1,
    ) -> None:
        super().__init__(
            [in_channels],
            num_classes,
            channels=channels,
            num_layers=num_layers,
            num_heads=num_heads,
            radius=radius,
            dropout_ratio=dropout_ratio,
        )
        self.dino_projection = BlockMLP(dino_channels, channels)
        self.dino_fuse = nn.Conv2d(channels, channels, 1)

    def fused(self, inputs: BackboneOutput | Features) -> Tensor:
        """Fuse both features; those of DINOv2 are brought to CLIP's cells.

        Args:
            inputs: What the backbone gives, or its maps: DINOv2's first, CLIP's last.

        Returns:
            CLIP's and DINOv2's, shape (B, 2 channels, h, w).
        """
        maps = inputs.maps if isinstance(inputs, BackboneOutput) else tuple(inputs)
        clip = super().fused(maps[-1:])
        dino = self.dino_fuse(self.dino_projection(maps[0]))
        if self.dropout is not None:
            dino = self.dropout(dino)
        return torch.cat(
            [clip, F.interpolate(dino, clip.shape[2:], mode='bilinear')], dim=1
        )

    def branches(self, fused: Tensor) -> tuple[Tensor, Tensor]:
        """Give the logits of CLIP and of DINOv2, each (B, K, h, w)."""
        clip, dino = fused.chunk(2, dim=1)
        return super().decode(clip), super().decode(dino)

    def decode(self, fused: Tensor) -> Tensor:
        """Give the mean logits, shape (B, K, h, w)."""
        clip, dino = self.branches(fused)
        return (clip + dino) / 2

    def mask_losses(self, fused: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Compute the losses; see the parent."""
        clip, dino = (
            F.interpolate(one, mask.shape[-2:], mode='bilinear')
            for one in self.branches(fused)
        )
        mean = (clip + dino) / 2
        # By the masks as they were made, as in the released code.
        affinity_loss = self.affinity_loss(fused, mask)
        if self.trusts_prediction:
            mask = trusted_label(mask, mean.detach())
        return {
            'loss_seg': balanced_cross_entropy(mean, mask),
            'loss_dice': dice_loss(mean, mask),
            'loss_affinity': affinity_loss,
            'loss_mutual': 0.1 * mutual_loss(clip, dino),
        }
