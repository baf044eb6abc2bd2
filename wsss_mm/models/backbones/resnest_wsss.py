"""ResNeSt as Puzzle-CAM uses it."""

from typing import ClassVar

from mmseg.models.backbones import ResNeSt
from torch import nn

from wsss_mm.registry import MODELS

# The block of MMSegmentation's own depths.
BLOCK = ResNeSt.arch_settings[50][0]


@MODELS.register_module()
class ResNeStWSSS(ResNeSt):
    """MMSegmentation's ResNeSt with the released network's pooling, and 269 layers.

    A stage whose stride was traded for dilation keeps the 3x3 average pooling of its
    first block, at stride 1. All settings are those of ``ResNeSt``.

    Reference:
        Zhang et al., "ResNeSt: Split-Attention Networks", 2020, released code.
    """

    arch_settings: ClassVar = {**ResNeSt.arch_settings, 269: (BLOCK, (3, 30, 48, 8))}

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        if not self.avg_down_stride:
            return
        # The first stage follows a pooling and has none in the released network.
        for name in self.res_layers[1:]:
            first = getattr(self, name)[0]
            if not first.avg_down_stride:
                first.avg_down_stride = True
                first.avd_layer = nn.AvgPool2d(3, 1, padding=1)
