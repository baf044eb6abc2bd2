"""DeepLabV3+ with plain convolutions, as Puzzle-CAM retrains it."""

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from wsss_mm.registry import MODELS


def enlarge(maps: Tensor, like: Tensor) -> Tensor:
    """Resize maps bilinearly (corners aligned) to the size of others."""
    return F.interpolate(maps, like.shape[-2:], mode='bilinear', align_corners=True)


@MODELS.register_module()
class DeepLabV3PlusHead(BaseDecodeHead):
    """Classify pixels after atrous pyramid pooling, with a detailed map beside it.

    Args:
        in_channels: Channels of the detailed and of the deep feature map.
        channels: Channels of all hidden maps but the reduced detailed one.
        num_classes: Classes of the dataset, background included (K).
        in_index: Where the two maps stand among the features.
        low_channels: Channels that the detailed map is reduced to.
        dilations: Of the pyramid's convolutions; the first has a 1x1 kernel.
        norm_cfg: Normalisation behind every hidden convolution; None for Puzzle-CAM's
            group normalisation of four groups.
        loss_decode: Config of the loss; None stands for the mean cross entropy over
            the pixels that are not ignored.

    Reference:
        Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic
        Image Segmentation", ECCV 2018, in the form of Puzzle-CAM's released code.

    Note:
        MMSegmentation's ``DepthwiseSeparableASPPHead`` is the paper's own form, with
        separable convolutions and a 3x3 behind the pyramid.
    """

    def __init__(
        self,
        in_channels: tuple[int, int] = (256, 2048),
        channels: int = 256,
        *,
        num_classes: int,
        in_index: tuple[int, int] = (0, 3),
        low_channels: int = 48,
        dilations: tuple[int, ...] = (1, 6, 12, 18),
        norm_cfg: dict | None = None,
        loss_decode: dict | list[dict] | None = None,
    ) -> None:
        norm_cfg = norm_cfg or dict(type='GN', num_groups=4)
        super().__init__(
            tuple(in_channels),
            channels,
            num_classes=num_classes,
            input_transform='multiple_select',
            in_index=tuple(in_index),
            norm_cfg=norm_cfg,
            dropout_ratio=0,
            align_corners=True,
            # The stock default divides by all pixels, ignored ones included.
            loss_decode=loss_decode
            or dict(type='CrossEntropyLoss', avg_non_ignore=True),
            init_cfg=None,
        )
        low, deep = in_channels
        self.aspp = nn.ModuleList(
            ConvModule(
                deep,
                channels,
                1 if rate == 1 else 3,
                padding=0 if rate == 1 else rate,
                dilation=rate,
                norm_cfg=norm_cfg,
            )
            for rate in dilations
        )
        self.pool = ConvModule(deep, channels, 1, norm_cfg=norm_cfg)
        width = (len(dilations) + 1) * channels
        self.bottleneck = ConvModule(width, channels, 1, norm_cfg=norm_cfg)
        self.reduce = ConvModule(low, low_channels, 1, norm_cfg=norm_cfg)
        self.fuse = nn.ModuleList(
            ConvModule(inputs, channels, 3, padding=1, norm_cfg=norm_cfg)
            for inputs in (channels + low_channels, channels)
        )

    def init_weights(self) -> None:
        """Draw every kernel over its fan in (He et al.), as the reference does."""
        super().init_weights()
        # Last: ConvModule draws its own over the fan out.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Compute the logits at the size of the detailed map, shape (B, K, h, w)."""
        low, deep = self._transform_inputs(inputs)
        mean = self.pool(deep.mean(dim=(2, 3), keepdim=True))
        parts = [branch(deep) for branch in self.aspp]
        pyramid = torch.cat([*parts, mean.expand_as(parts[0])], dim=1)
        x = self.drop(self.bottleneck(pyramid), 0.5)
        x = torch.cat([enlarge(x, low), self.reduce(low)], dim=1)
        x = self.drop(self.fuse[0](x), 0.5)
        return self.cls_seg(self.drop(self.fuse[1](x), 0.1))

    def drop(self, x: Tensor, ratio: float) -> Tensor:
        """Drop single elements, as the reference does, while training."""
        return F.dropout(x, ratio, self.training)
