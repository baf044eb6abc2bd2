"""ResNet-38 with dilation, the backbone of SEAM and AffinityNet."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

# Name, input, middle and output channels, stride, dilation of the two 3x3.
RES_BLOCKS = (
    ('b2', 64, 128, 128, 2, (1, 1)),
    ('b2_1', 128, 128, 128, 1, (1, 1)),
    ('b2_2', 128, 128, 128, 1, (1, 1)),
    ('b3', 128, 256, 256, 2, (1, 1)),
    ('b3_1', 256, 256, 256, 1, (1, 1)),
    ('b3_2', 256, 256, 256, 1, (1, 1)),
    ('b4', 256, 512, 512, 2, (1, 1)),
    ('b4_1', 512, 512, 512, 1, (1, 1)),
    ('b4_2', 512, 512, 512, 1, (1, 1)),
    ('b4_3', 512, 512, 512, 1, (1, 1)),
    ('b4_4', 512, 512, 512, 1, (1, 1)),
    ('b4_5', 512, 512, 512, 1, (1, 1)),
    ('b5', 512, 512, 1024, 1, (1, 2)),
    ('b5_1', 1024, 512, 1024, 1, (2, 2)),
    ('b5_2', 1024, 512, 1024, 1, (2, 2)),
)
# Name, input and output channels, dropout probability.
WIDE_BLOCKS = (('b6', 1024, 2048, 0.3), ('b7', 2048, 4096, 0.5))
# Blocks whose activated input is an output of the backbone.
TAPS = ('b4', 'b5', 'b6')


class ResBlock(nn.Module):
    """Add two 3x3 convolutions of the activated input to a shortcut.

    The shortcut is the raw input where shapes agree, else a 1x1 convolution
    of the *activated* input.
    """

    def __init__(
        self,
        channels: tuple[int, int, int],
        *,
        stride: int,
        dilations: tuple[int, int],
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        inputs, middle, outputs = channels
        first, second = dilations
        self.bn_branch2a = build_norm_layer(norm_cfg, inputs)[1]
        self.conv_branch2a = nn.Conv2d(
            inputs, middle, 3, stride, padding=first, dilation=first, bias=False
        )
        self.bn_branch2b1 = build_norm_layer(norm_cfg, middle)[1]
        self.conv_branch2b1 = nn.Conv2d(
            middle, outputs, 3, padding=second, dilation=second, bias=False
        )
        self.projects = inputs != outputs or stride != 1
        if self.projects:
            self.conv_branch1 = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and its activated input."""
        activated = F.relu(self.bn_branch2a(x))
        shortcut = self.conv_branch1(activated) if self.projects else x
        out = self.conv_branch2a(activated)
        out = self.conv_branch2b1(F.relu(self.bn_branch2b1(out)))
        return shortcut + out, activated


class WideBlock(nn.Module):
    """Add a 1x1 - dilated 3x3 - 1x1 branch with dropout to a 1x1 shortcut."""

    def __init__(
        self, inputs: int, outputs: int, *, dropout: float, norm_cfg: dict
    ) -> None:
        super().__init__()
        quarter, half = outputs // 4, outputs // 2
        self.bn_branch2a = build_norm_layer(norm_cfg, inputs)[1]
        self.conv_branch2a = nn.Conv2d(inputs, quarter, 1, bias=False)
        self.bn_branch2b1 = build_norm_layer(norm_cfg, quarter)[1]
        self.conv_branch2b1 = nn.Conv2d(
            quarter, half, 3, padding=4, dilation=4, bias=False
        )
        self.bn_branch2b2 = build_norm_layer(norm_cfg, half)[1]
        self.dropout = nn.Dropout2d(dropout)
        self.conv_branch2b2 = nn.Conv2d(half, outputs, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output and its activated input."""
        activated = F.relu(self.bn_branch2a(x))
        out = self.conv_branch2a(activated)
        out = self.dropout(F.relu(self.bn_branch2b1(out)))
        out = self.conv_branch2b1(out)
        out = self.dropout(F.relu(self.bn_branch2b2(out)))
        return self.conv_branch1(activated) + self.conv_branch2b2(out), activated


@MODELS.register_module()
class ResNet38d(BaseModule):
    """Wide ResNet-38 at output stride 8 with pre-activation blocks.

    Parameter names are those of the released AffinityNet and SEAM networks. A
    side of n pixels shrinks to ``(n - 1) // 2 + 1`` three times.

    Reference:
        Wu et al., "Wider or Deeper: Revisiting the ResNet Model for Visual
        Recognition", model A1, in the dilated form of AffinityNet (CVPR 2018).

    Note:
        With ``with_cp`` a block runs twice per step, so running statistics of
        normalisation layers that train (``norm_eval=False``) also move twice.

    Args:
        frozen_stages: Freeze the convolutions of the stages up to this number:
            0 none, 1 ``conv1a``, 2 also ``b2*`` (SEAM, AffinityNet), ... 7 all.
        norm_eval: Keep every normalisation layer in eval mode with fixed scale
            and shift, as all CAM networks of this family do.
        norm_cfg: Normalisation layer; ``momentum`` matters only where the
            statistics train, ``requires_grad=False`` fixes scale and shift.
        with_cp: Recompute block activations in the backward pass.
        init_cfg: MMEngine weight initialisation; for a checkpoint made by
            ``tools/model_converters/convert.py``
            ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Raises:
        ValueError: If ``frozen_stages`` is not in 0..7.
    """

    def __init__(
        self,
        *,
        frozen_stages: int = 2,
        norm_eval: bool = True,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if frozen_stages not in range(8):
            raise InputError(
                f'frozen_stages must be in 0..7 (0 freezes nothing), '
                f'got {frozen_stages!r}'
            )
        norm_cfg = dict(type='BN') if norm_cfg is None else norm_cfg
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.conv1a = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        for name, inputs, middle, outputs, stride, dilations in RES_BLOCKS:
            block: nn.Module = ResBlock(
                (inputs, middle, outputs),
                stride=stride,
                dilations=dilations,
                norm_cfg=norm_cfg,
            )
            self.add_module(name, block)
        for name, inputs, outputs, dropout in WIDE_BLOCKS:
            block = WideBlock(inputs, outputs, dropout=dropout, norm_cfg=norm_cfg)
            self.add_module(name, block)
        self.bn7 = build_norm_layer(norm_cfg, WIDE_BLOCKS[-1][2])[1]
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the four taps of a batch of normalised images.

        Args:
            x: Images, shape (B, 3, H, W).

        Returns:
            ``conv3`` (B, 256, H/4, W/4), ``conv4`` (B, 512, h, w), ``conv5``
            (B, 1024, h, w) and ``conv6`` (B, 4096, h, w) at stride 8, all
            after a ReLU: the activated inputs of b4, b5, b6, and of the head.
        """
        taps = []
        x = self.conv1a(x)
        for name in self._block_names():
            x, activated = self._run(getattr(self, name), x)
            if name in TAPS:
                taps.append(activated)
        conv3, conv4, conv5 = taps
        return conv3, conv4, conv5, F.relu(self.bn7(x))

    def train(self, mode: bool = True) -> 'ResNet38d':
        """Set the mode, keeping frozen parts frozen and norm layers in eval."""
        super().train(mode)
        self._freeze()
        return self

    def _run(
        self, block: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(block, x, use_reentrant=False)
        return block(x)

    def _freeze(self) -> None:
        for name in self._frozen_names():
            for parameter in getattr(self, name).parameters():
                parameter.requires_grad = False
        if not self.norm_eval:
            return
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
                module.requires_grad_(False)

    def _frozen_names(self) -> list[str]:
        stages = {'conv1a': 1, 'bn7': 7}
        stages.update((name, int(name[1])) for name in self._block_names())
        return [name for name, stage in stages.items() if stage <= self.frozen_stages]

    @staticmethod
    def _block_names() -> list[str]:
        return [block[0] for block in (*RES_BLOCKS, *WIDE_BLOCKS)]
