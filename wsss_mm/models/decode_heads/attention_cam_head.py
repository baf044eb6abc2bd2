"""Plain CAM on a vision transformer, refined along its own attention."""

import torch
from torch import Tensor

from wsss_mm.functional import (
    attended_cam,
    attention_transition,
    box_mask,
    class_attention,
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
        balanced: Whether attention is balanced (Sinkhorn), made symmetric and squared,
            as CLIP-ES does; else cells take what they attend to, once.
        class_token_layers: Of how many of the last layers the class token's attention
            is multiplied with the CAM, before it spreads; None leaves it out.

    Raises:
        InputError: If a number is out of range.

    Reference:
        The class-aware attention affinity of CLIP-ES (CVPR 2023), on CAMs that are
        learnt; `class_token_layers` is MCTformer's (CVPR 2022), with one class token
        for all classes.

    Note:
        Boxes reach to the last row and column, where CLIP-ES's end before.
    """

    def __init__(  # what a config may set
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        dropout_ratio: float = 0.5,
        attention_layers: int | None = 8,
        box_threshold: float | None = 0.4,
        balanced: bool = True,
        class_token_layers: int | None = None,
    ) -> None:
        super().__init__(
            in_channels, num_classes, in_index=in_index, dropout_ratio=dropout_ratio
        )
        if box_threshold is not None and not 0 <= box_threshold < 1:
            raise InputError(f'box_threshold is {box_threshold}; give one in [0, 1)')
        if attention_layers is not None and attention_layers < 1:
            raise InputError(f'attention_layers is {attention_layers}; give 1 or more')
        if class_token_layers is not None and class_token_layers < 1:
            raise InputError(
                f'class_token_layers is {class_token_layers}; give 1 or more'
            )
        self.attention_layers = attention_layers
        self.balanced = balanced
        self.class_token_layers = class_token_layers
        self.box_threshold = box_threshold

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the refined maps, in [0, 1), and the tag logits."""
        cam, logits = super().predict(context)
        if self.class_token_layers is not None:
            layers = self.attention_of(context, self.class_token_layers)
            seen = class_attention(layers, layers=self.class_token_layers)
            cam = torch.stack([attended_cam(*one) for one in zip(cam, seen)])
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
        layers = self.attention_of(context, count)
        attention = patch_attention(layers, layers=count).mean(dim=1)
        if self.balanced:
            return attention_transition(attention)
        return attention / attention.sum(dim=-1, keepdim=True)

    def attention_of(self, context: Context, count: int) -> tuple[Tensor, ...]:
        """Give the attention of all layers, refusing fewer than are asked for."""
        layers = () if context.attention is None else context.attention['full']
        if count > len(layers):
            name = (
                'class_token_layers'
                if count != self.attention_layers
                else ('attention_layers')
            )
            raise InputError(
                f'{name} is {count}, but the backbone gives the attention of '
                f'{len(layers)} layers; AttentionViT gives all'
            )
        return tuple(layers)

    def refine(self, cam: Tensor, transition: Tensor) -> Tensor:
        """Spread the rectified maps of one image, (C, h, w)."""
        maps = stretch(cam)
        mask = None
        if self.box_threshold is not None:
            mask = box_mask(maps, threshold=self.box_threshold, full_boxes=True)
        return stretch(refine_cam(maps, transition, mask))
