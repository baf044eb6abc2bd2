"""ResNet and ResNeSt that also give the output of their stem."""

from mmseg.models.backbones import ResNet
from torch import Tensor

from wsss_mm.registry import MODELS

from .resnest_wsss import ResNeStWSSS


def stem_and_stages(network: ResNet, x: Tensor) -> tuple[Tensor, ...]:
    """Return the pooled stem (stride 4), then the stages of ``out_indices``.

    Args:
        network: A ResNet of MMSegmentation.
        x: Images, shape (B, 3, H, W).
    """
    if network.deep_stem:
        x = network.stem(x)
    else:
        x = network.relu(network.norm1(network.conv1(x)))
    x = network.maxpool(x)
    outputs = [x]
    for index, name in enumerate(network.res_layers):
        x = getattr(network, name)(x)
        if index in network.out_indices:
            outputs.append(x)
    return tuple(outputs)


@MODELS.register_module()
class ResNetStem(ResNet):
    """MMSegmentation's ResNet with the pooled stem as its first output.

    The edge branch of IRN starts there. All settings are those of ``ResNet``.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the pooled stem (stride 4), then the stages of ``out_indices``."""
        return stem_and_stages(self, x)


@MODELS.register_module()
class ResNeStStem(ResNeStWSSS):
    """:class:`ResNeStWSSS` with the pooled stem as its first output."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the pooled stem (stride 4), then the stages of ``out_indices``."""
        return stem_and_stages(self, x)
