"""The atrous spatial pyramid of DeepLabV2."""

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError


class DilatedSum(nn.Module):
    """Sum 3x3 convolutions that see the same input at different dilations."""

    def __init__(
        self, in_channels: int, out_channels: int, dilations: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate)
            for rate in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the sum, shape (B, out_channels, h, w)."""
        first, *others = self.branches
        total = first(x)
        for branch in others:
            total = total + branch(x)
        return total


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """Classify pixels by a sum of 3x3 convolutions at several dilations.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        dilations: One classifier is trained per dilation.
        in_index: Where the feature map stands among the features.
        dropout_ratio: Channel dropout before the classifiers.
        loss_decode: Config of the loss; None stands for the mean cross entropy
            over the pixels that are not ignored.

    Raises:
        ValueError: If there is no dilation.

    Reference:
        Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional
        Nets, Atrous Convolution, and Fully Connected CRFs", ResNet-101 (ASPP-L).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        dilations: tuple[int, ...] = (6, 12, 18, 24),
        in_index: int = -1,
        dropout_ratio: float = 0.0,
        loss_decode: dict | list[dict] | None = None,
    ) -> None:
        if not dilations:
            raise InputError('dilations is empty: give at least one, such as (6,)')
        if loss_decode is None:
            # The stock default divides by all pixels, ignored ones included.
            loss_decode = dict(type='CrossEntropyLoss', avg_non_ignore=True)
        super().__init__(
            in_channels,
            in_channels,
            num_classes=num_classes,
            in_index=in_index,
            dropout_ratio=dropout_ratio,
            align_corners=True,
            loss_decode=loss_decode,
            init_cfg=dict(type='Normal', layer='Conv2d', std=0.01),
        )
        # The paper's classifier stands in the parent's place for one.
        self.conv_seg = DilatedSum(in_channels, self.out_channels, tuple(dilations))

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Compute the logits, shape (B, K, h, w)."""
        return self.cls_seg(self._transform_inputs(inputs))
