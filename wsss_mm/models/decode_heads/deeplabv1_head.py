"""The large field-of-view head of DeepLabV1, as SEAM retrains it."""

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from wsss_mm.registry import MODELS


@MODELS.register_module()
class DeepLabV1Head(BaseDecodeHead):
    """Classify pixels after one widely dilated 3x3 and one 1x1 convolution.

    Args:
        in_channels: Channels of the feature map.
        channels: Channels of the two hidden convolutions.
        num_classes: Classes of the dataset, background included (K).
        dilation: Dilation of the 3x3 convolution.
        norm_cfg: Normalisation after each hidden convolution. None stands for
            the retraining's own: running statistics move by 3e-4, scale and
            shift stay at one and zero.
        in_index: Where the feature map stands among the features.
        dropout_ratio: Element-wise dropout before the classifier.
        loss_decode: Config of the loss; None stands for the mean cross entropy
            over the pixels that are not ignored.

    Reference:
        Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and
        Fully Connected CRFs" (LargeFOV), in the form of SEAM's released
        retraining code.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 512,
        *,
        num_classes: int,
        dilation: int = 12,
        norm_cfg: dict | None = None,
        in_index: int = -1,
        dropout_ratio: float = 0.5,
        loss_decode: dict | list[dict] | None = None,
    ) -> None:
        if norm_cfg is None:
            norm_cfg = dict(type='BN', momentum=3e-4, requires_grad=False)
        if loss_decode is None:
            # The stock default divides by all pixels, ignored ones included.
            loss_decode = dict(type='CrossEntropyLoss', avg_non_ignore=True)
        super().__init__(
            in_channels,
            channels,
            num_classes=num_classes,
            norm_cfg=norm_cfg,
            in_index=in_index,
            # The parent's dropout drops whole channels: replaced below.
            dropout_ratio=0,
            align_corners=True,
            loss_decode=loss_decode,
            init_cfg=dict(type='Kaiming', layer='Conv2d'),
        )
        if dropout_ratio > 0:
            self.dropout = nn.Dropout(dropout_ratio)
        self.conv_fov = ConvModule(
            in_channels,
            channels,
            3,
            padding=dilation,
            dilation=dilation,
            norm_cfg=norm_cfg,
        )
        self.conv_fov2 = ConvModule(channels, channels, 1, norm_cfg=norm_cfg)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Compute the logits, shape (B, K, h, w)."""
        x = self._transform_inputs(inputs)
        return self.cls_seg(self.conv_fov2(self.conv_fov(x)))
