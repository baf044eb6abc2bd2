"""ResNet that also gives the output of its stem."""

from mmseg.models.backbones import ResNet
from torch import Tensor

from wsss_mm.registry import MODELS


@MODELS.register_module()
class ResNetStem(ResNet):
    """MMSegmentation's ResNet with the pooled stem as its first output.

    The edge branch of IRN starts there. All settings are those of ``ResNet``.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the pooled stem (stride 4), then the stages of ``out_indices``."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        x = self.maxpool(x)
        outputs = [x]
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
