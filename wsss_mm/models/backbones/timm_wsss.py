"""Any timm network, with the parts frozen that a small budget leaves alone."""

from collections.abc import Sequence
from typing import Any

from mmseg.models.backbones import TIMMBackbone
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError


@MODELS.register_module()
class TIMMBackboneWSSS(TIMMBackbone):
    """MMSegmentation's ``TIMMBackbone`` with frozen BatchNorm and frozen first layers.

    It gives the features of all levels, as ``features_only`` of timm; `output_stride`
    trades strides for dilation. Weights come from `init_cfg`, never from the net.

    Args:
        model_name: Name of the network in timm.
        output_stride: Stride of the last features: 8, 16 or 32.
        norm_eval: Keep every BatchNorm in evaluation mode and its weights fixed.
        frozen: Names of modules, in timm's naming, whose weights stay as they are.
        init_cfg: MMEngine weight initialisation.

    Raises:
        InputError: If timm is not installed or has no network of that name, or a
            name in `frozen` is none of its modules.
    """

    def __init__(
        self,
        model_name: str,
        *,
        output_stride: int = 16,
        norm_eval: bool = True,
        frozen: Sequence[str] = (),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        settings: dict[str, Any] = dict(pretrained=False, output_stride=output_stride)
        try:
            super().__init__(model_name, init_cfg=init_cfg, **settings)
        except RuntimeError as error:  # both of timm missing and of an unknown name
            raise InputError(f'TIMMBackboneWSSS: {error}') from error
        self.norm_eval = norm_eval
        modules = dict(self.timm_model.named_modules())
        for name in frozen:
            if name not in modules:
                raise InputError(f'frozen names {name!r}, no module of {model_name}')
            modules[name].requires_grad_(False)
        self.frozen = [modules[name] for name in frozen]
        if norm_eval:
            for norm in self.norms():
                norm.requires_grad_(False)

    def norms(self) -> list[nn.Module]:
        """List the BatchNorm layers."""
        return [m for m in self.timm_model.modules() if isinstance(m, _BatchNorm)]

    def train(self, mode: bool = True) -> 'TIMMBackboneWSSS':
        """Switch to training or evaluation, but for what is frozen."""
        super().train(mode)
        if self.norm_eval:
            for norm in self.norms():
                norm.eval()
        for module in self.frozen:
            module.eval()
        return self
