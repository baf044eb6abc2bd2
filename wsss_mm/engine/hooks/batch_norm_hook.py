"""Say what to do where batch normalisation has nothing to normalise over."""

from functools import partial
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module()
class BatchNormHook(Hook):
    """Refuse to train batch normalisation on one value for each channel.

    Branches that pool the whole image, as DeepLabV3+ has one, leave 1x1 features: a
    batch of one image, given or left over at the end of an epoch, has no variance.
    PyTorch stops there, too, without saying which option it is about.
    """

    def __init__(self) -> None:
        self.handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Watch every batch normalisation of the network."""
        for name, module in runner.model.named_modules():
            shared = isinstance(module, nn.SyncBatchNorm) and get_world_size() > 1
            if isinstance(module, _BatchNorm) and not shared:
                check = partial(refuse_single_values, name)
                self.handles.append(module.register_forward_pre_hook(check))

    def after_train(self, runner: Runner) -> None:
        """Leave the network as it was."""
        for handle in self.handles:
            handle.remove()
        self.handles = []


def refuse_single_values(
    name: str, module: nn.Module, inputs: tuple[torch.Tensor, ...]
) -> None:
    """Refuse features (B, C, ...) of one value for each channel.

    Args:
        name: Of the module, for the message.
        module: The batch normalisation.
        inputs: What it is called with.

    Raises:
        ValueError: If it is in training and B and all sizes are 1.
    """
    (features,) = inputs
    if module.training and features.numel() == features.shape[1]:
        raise InputError(
            f'{name}: batch normalisation has one value for each channel, features '
            f'{tuple(features.shape)} of a batch of one image; set '
            'train_dataloader.batch_size (of each process) to 2 or more, with '
            'train_dataloader.drop_last=True where the last batch is smaller'
        )
