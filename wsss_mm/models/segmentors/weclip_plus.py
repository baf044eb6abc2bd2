"""WeCLIP+: WeCLIP with DINOv2 beside CLIP."""

import torch
from torch import Tensor

from wsss_mm.functional import feature_affinity
from wsss_mm.models.decode_heads.weclip_plus_head import WeCLIPPlusHead
from wsss_mm.models.structures import BackboneOutput
from wsss_mm.registry import MODELS

from .weclip import WeCLIP


@MODELS.register_module()
class WeCLIPPlus(WeCLIP):
    """Train one decoder on frozen CLIP and DINOv2 from masks made of the tags.

    From the first step on, masks are made with the affinity that the head has learnt,
    and Grad-CAM is weighed by what it predicts. Once `trusts_prediction` is set, what
    it is sure of overwrites the masks, see :class:`AffinitySwitchHook`.

    Args:
        backbone: Config of a :class:`CLIPWithDINO`.
        decode_head: Config of a :class:`WeCLIPPlusHead`.
        pseudo_masks: Config of :class:`CLIPPseudoMasks`.
        train_cfg: As :class:`WeCLIP`, and so are all others.

    Reference:
        Zhang et al., WeCLIP+, TPAMI 2025, and its released code,
        https://github.com/zbf1991/WeCLIP.
    """

    trusts_affinity = True
    head_kind = WeCLIPPlusHead

    @property
    def trusts_prediction(self) -> bool:
        """Whether what the network is sure of overwrites its labels."""
        return bool(self.decode_head.trusts_prediction)

    @trusts_prediction.setter
    def trusts_prediction(self, value: bool) -> None:
        self.decode_head.trusts_prediction = value

    @torch.no_grad()
    def make_masks(
        self, images: Tensor, output: BackboneOutput, labels: Tensor, *, fused: Tensor
    ) -> Tensor:
        """Make the masks of a batch, shape (B, H, W); see the parent."""
        return self.pseudo_masks(
            images,
            output,
            labels,
            names=self.names,
            affinity=feature_affinity(fused),
            scores=self.decode_head.decode(fused).float().softmax(dim=1),
        )
