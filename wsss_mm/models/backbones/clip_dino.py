"""CLIP and DINOv2 side by side, both frozen: the backbone of WeCLIP+."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from wsss_mm.models.structures import BackboneOutput
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .clip_vit import CLIPVisionTransformer


@MODELS.register_module()
class CLIPWithDINO(BaseModule):
    """Give the last map of DINOv2, and those of CLIP behind it.

    The first of the maps is DINOv2's, on its own cells; attention and class tokens are
    CLIP's. DINOv2 sees the images at the next smaller multiples of its patch.

    Args:
        clip: Config of a :class:`CLIPVisionTransformer`.
        dino: Config of a backbone that gives a feature map: MMPretrain's
            ``VisionTransformer`` with ``out_type='featmap'``.
        patch_size: Side of a patch of DINOv2.
        init_cfg: MMEngine weight initialisation.

    Raises:
        InputError: If `clip` is another backbone.

    Reference:
        Zhang et al., WeCLIP+, TPAMI 2025, and its released code.
    """

    def __init__(
        self,
        clip: dict,
        dino: dict,
        *,
        patch_size: int = 14,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.clip = MODELS.build(clip)
        if not isinstance(self.clip, CLIPVisionTransformer):
            raise InputError(
                f'clip is a {type(self.clip).__name__}; CLIPWithDINO needs a '
                'CLIPVisionTransformer'
            )
        self.dino = MODELS.build(dino)
        self.patch_size = patch_size
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> 'CLIPWithDINO':
        """Stay in evaluation mode, whatever the mode of the network around it."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> BackboneOutput:
        """Run both over images (B, 3, H, W)."""
        output = self.clip(inputs)
        patch = self.patch_size
        height, width = (side // patch * patch for side in inputs.shape[-2:])
        resized = F.interpolate(inputs, (height, width), mode='bilinear')
        return BackboneOutput(
            maps=(self.dino(resized)[-1], *output.maps),
            attention=output.attention,
            class_tokens=output.class_tokens,
        )
