"""VGG-16 as AffinityNet and SeeNet use it: no pool5, no fully connected layers.

Its Caffe weights want BGR images in 0..255 with a mean subtracted and no division.
The pipelines give RGB images normalised as torchvision does, so the data
preprocessor swaps the channels, undoes the one normalisation and does the other::

    data_preprocessor=dict(
        type='SegDataPreProcessor',
        size_divisor=1,
        rgb_to_bgr=True,
        mean=[
            (104.008 - 103.53) / 57.375,
            (116.669 - 116.28) / 57.12,
            (122.675 - 123.675) / 58.395,
        ],
        std=[1 / 57.375, 1 / 57.12, 1 / 58.395],
    )

AffinityNet's mean is (104.008, 116.669, 122.675), SeeNet's (104.007, 116.669,
122.679). Padding is 0 before this, so it is the pipeline's mean colour.
"""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

# Output channels of each 3x3 convolution, stage by stage.
STAGES = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)
FC_CHANNELS = 1024


class VGG16Stages(BaseModule):
    """Hold the 13 convolutions of VGG-16 under their Caffe names.

    Args:
        last_dilation: Dilation of the convolutions of the fifth stage.
        frozen_stages: Freeze the stages up to this number: 0 none, ... 5 all.
        init_cfg: MMEngine weight initialisation; without one the convolutions
            start from Kaiming's normal distribution.

    Raises:
        ValueError: If ``frozen_stages`` is not in 0..5.
    """

    def __init__(
        self,
        *,
        last_dilation: int,
        frozen_stages: int,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Kaiming', layer='Conv2d')
        super().__init__(init_cfg)
        if frozen_stages not in range(6):
            raise InputError(
                f'frozen_stages must be in 0..5 (0 freezes nothing), '
                f'got {frozen_stages!r}'
            )
        inputs = 3
        for stage, widths in enumerate(STAGES, start=1):
            dilation = last_dilation if stage == len(STAGES) else 1
            for i, width in enumerate(widths, start=1):
                conv = nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation)
                conv.requires_grad_(stage > frozen_stages)
                self.add_module(f'conv{stage}_{i}', conv)
                inputs = width

    def run_stage(self, stage: int, x: Tensor) -> Tensor:
        """Apply the convolutions of one stage, 1 to 5, each with its ReLU."""
        for i in range(1, len(STAGES[stage - 1]) + 1):
            x = F.relu(getattr(self, f'conv{stage}_{i}')(x))
        return x


@MODELS.register_module()
class VGG16WSSS(VGG16Stages):
    """VGG-16 at output stride 8 with two convolutions for the fc layers.

    A side of n pixels shrinks to ``(n - 1) // 2 + 1`` three times. For
    the images' channels and mean see this module's description.

    Args:
        fc6_dilation: Dilation of the 3x3 convolution ``fc6``: 1 in AffinityNet's
            classifier, 4 in its affinity network.
        dropout_ratio: Channel dropout between ``fc6`` and ``fc7``.
        frozen_stages: Freeze the stages up to this number: 0 none, ... 5 all.
        init_cfg: MMEngine weight initialisation; names are those of the Caffe
            model ``vgg16_20M`` (``conv1_1`` ... ``conv5_3``, ``fc6``, ``fc7``).

    Reference:
        Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
        Supervision", CVPR 2018, released code; weights and layers of DeepLab's
        LargeFOV.
    """

    def __init__(
        self,
        *,
        fc6_dilation: int = 1,
        dropout_ratio: float = 0.5,
        frozen_stages: int = 2,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            last_dilation=2, frozen_stages=frozen_stages, init_cfg=init_cfg
        )
        self.fc6 = nn.Conv2d(
            STAGES[-1][-1],
            FC_CHANNELS,
            3,
            padding=fc6_dilation,
            dilation=fc6_dilation,
        )
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.fc7 = nn.Conv2d(FC_CHANNELS, FC_CHANNELS, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three taps of a batch of images.

        Args:
            x: BGR images without their mean, shape (B, 3, H, W).

        Returns:
            ``conv4`` (B, 512, h, w), ``conv5`` (B, 512, h, w) and ``conv5fc``
            (B, 1024, h, w) at stride 8, each after its ReLU.
        """
        for stage in (1, 2, 3):
            x = F.max_pool2d(self.run_stage(stage, x), 3, stride=2, padding=1)
        conv4 = self.run_stage(4, x)
        conv5 = self.run_stage(5, F.max_pool2d(conv4, 3, stride=1, padding=1))
        x = self.dropout(F.relu(self.fc6(conv5)))
        return conv4, conv5, F.relu(self.fc7(x))


@MODELS.register_module()
class VGG16SeeNet(VGG16Stages):
    """VGG-16 up to ``conv5_3`` at output stride 16, without dilation.

    A side of n pixels shrinks to ``ceil(n / 2)`` four times. For the
    images' channels and mean see this module's description.

    Args:
        frozen_stages: Freeze the stages up to this number: 0 none, ... 5 all.
        init_cfg: MMEngine weight initialisation; names are those of Caffe's
            VGG-16 (``conv1_1`` ... ``conv5_3``).

    Reference:
        Hou et al., "Self-Erasing Network for Integral Object Attention", NeurIPS
        2018, released deploy network.
    """

    def __init__(
        self,
        *,
        frozen_stages: int = 0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            last_dilation=1, frozen_stages=frozen_stages, init_cfg=init_cfg
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the last three stages of a batch of images.

        Args:
            x: BGR images without their mean, shape (B, 3, H, W).

        Returns:
            ``conv3`` (B, 256, H/4, W/4), ``conv4`` (B, 512, H/8, W/8) and
            ``conv5`` (B, 512, h, w) at stride 16, each after its ReLU.
        """
        taps = []
        for stage in range(1, len(STAGES)):
            x = self.run_stage(stage, x)
            taps.append(x)
            x = F.max_pool2d(x, 2, stride=2, ceil_mode=True)
        return taps[2], taps[3], self.run_stage(5, x)
