"""WeCLIP's decoder: a small segmenter on the features of frozen CLIP."""

import torch.nn.functional as F
from torch import Tensor

from wsss_mm.functional import balanced_cross_entropy
from wsss_mm.registry import MODELS

from .base_weclip_head import BaseWeCLIPHead


@MODELS.register_module()
class WeCLIPHead(BaseWeCLIPHead):
    """Fuse the features of all blocks, decode them, and learn their affinity.

    Features of each block pass an MLP of their own; joined, they are the fused
    features, whose products say which cells are of one class, and which a few
    transformer blocks turn into logits. It is trained from masks: those that
    :class:`WeCLIP` makes as it goes, or the files that the dataset loads, with
    MMSegmentation's ``EncoderDecoder``.

    Args:
        in_channels: Channels of the features, for each block that gives some.
        num_classes: Classes of the dataset, background included (K).
        channels: Width of the fused features.
        num_layers: Transformer blocks of the decoder.
        num_heads: Their attention heads.
        radius: Pairs of cells are compared up to this many rows and columns apart.
        affinity_weight: Weight of the affinity loss.
        dropout_ratio: Channel dropout of the fused features.

    Reference:
        Zhang et al., "Frozen CLIP: A Strong Backbone for Weakly Supervised Semantic
        Segmentation" (WeCLIP), CVPR 2024, and its released code,
        https://github.com/zbf1991/WeCLIP.

    Note:
        The released decoder computes its attention in half precision; here it is that
        of the training. Logits are brought to the image file in one step.
    """

    def mask_losses(self, fused: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Compute the losses; see the parent."""
        logits = F.interpolate(self.decode(fused), mask.shape[-2:], mode='bilinear')
        return {
            'loss_seg': balanced_cross_entropy(logits, mask),
            'loss_affinity': self.affinity_loss(fused, mask),
        }
