"""Plain CAM on a vision transformer, refined along its own attention."""

import torch
from torch import Tensor

from wsss_mm.functional import (
    attention_transition,
    box_mask,
    patch_attention,
    refine_cam,
    stretch,
)
from wsss_mm.models.structures import Context
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .cam_head import CAMHead


@MODELS.register_module()
class AttentionCAMHead(CAMHead):
    """Plain CAM that predicts what the attention of the backbone makes of it.

    It is trained as :class:`CAMHead`. Predicted maps are stretched to [0, 1], spread
    along the attention of the last layers from within the boxes around what is strong,
    and stretched again. The backbone gives a ``BackboneOutput`` with attention, such
    as :class:`AttentionViT`, with a class token.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        in_index: Where the feature map stands among the features.
        dropout_ratio: Channel dropout before the classifier.
        attention_layers: How many of the last layers; None leaves the CAM as it is.
        box_threshold: See `box_mask`; None lets every cell spread.

    Raises:
        InputError: If a number is out of range.

    Reference:
        The class-aware attention affinity of CLIP-ES (CVPR 2023), on CAMs that are
        learnt.

    Note:
        Boxes reach to the last row and column, where CLIP-ES's end before.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        dropout_ratio: float = 0.5,
        attention_layers: int | None = 8,
        box_threshold: float | None = 0.4,
    ) -> None:
        super().__init__(
            in_channels, num_classes, in_index=in_index, dropout_ratio=dropout_ratio
        )
        if box_threshold is not None and not 0 <= box_threshold < 1:
            raise InputError(f'box_threshold is {box_threshold}; give one in [0, 1)')
        if attention_layers is not None and attention_layers < 1:
            raise InputError(f'attention_layers is {attention_layers}; give 1 or more')
        self.attention_layers = attention_layers
        self.box_threshold = box_threshold

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the refined maps, in [0, 1), and the tag logits."""
        cam, logits = super().predict(context)
        if self.attention_layers is None:
            return cam, logits
        transition = self.transition(context, self.attention_layers)
        refined = [self.refine(*one) for one in zip(cam, transition, strict=True)]
        return torch.stack(refined), logits

    def transition(self, context: Context, count: int) -> Tensor:
        """Give what cells take from each other, shape (B, h w, h w).

        Args:
            context: What the network saw.
            count: How many of the last layers.

        Raises:
            InputError: If the backbone has no attention, or fewer layers.
        """
        layers = () if context.attention is None else context.attention['full']
        if count > len(layers):
            raise InputError(
                f'attention_layers is {count}, but the backbone gives '
                f'the attention of {len(layers)} layers; AttentionViT gives all'
            )
        attention = patch_attention(layers, layers=count)
        return attention_transition(attention.mean(dim=1))

    def refine(self, cam: Tensor, transition: Tensor) -> Tensor:
        """Spread the rectified maps of one image, (C, h, w)."""
        maps = stretch(cam)
        mask = None
        if self.box_threshold is not None:
            mask = box_mask(maps, threshold=self.box_threshold, full_boxes=True)
        return stretch(refine_cam(maps, transition, mask))
