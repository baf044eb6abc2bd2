"""Refuse weights that a training starts from but that do not fit its network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.checkpoints.weights import (
    Weights,
    counted,
    fitting_prefix,
    matching,
    weights_in,
)
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module()
class WeightsFitHook(Hook):
    """Count what MMEngine loads, which leaves out what does not fit, and refuse little.

    A tensor fits that has its name and its shape in the file. A training that is
    resumed needs every one. ``init_cfg`` of the type ``Pretrained`` needs a share of
    the tensors of its module, ``load_from`` of those of the backbone, since heads may
    differ. Counters of batches do not count.

    Args:
        least_share: The share of tensors that must fit, in (0, 1].

    Raises:
        ValueError: If the share is not in (0, 1].
    """

    priority = 'VERY_HIGH'

    def __init__(self, least_share: float = 0.9) -> None:
        if not 0 < least_share <= 1:
            raise InputError(f'least_share is {least_share}; give a share in (0, 1]')
        self.least_share = least_share
        self.handles: list[Any] = []

    def before_run(self, runner: Runner) -> None:
        """Watch what is loaded into the network and into its pretrained modules.

        A test starts from nothing of this, and its files may be gone.
        """
        if not isinstance(runner.optim_wrapper, (OptimWrapper, OptimWrapperDict)):
            return
        model = unwrapped(runner.model)
        for name, module, init_cfg in pretrained_modules(model):
            check_prefix(module, init_cfg, f'init_cfg of {name or "the network"}')
            self.watch(module, init_cfg['checkpoint'], name, runner, self.least_share)
        given = runner.cfg.get('load_from')
        if runner.cfg.get('resume'):
            file = given or find_latest_checkpoint(runner.work_dir) or runner.work_dir
            self.watch(model, file, '', runner, 1.0)
        elif given:
            self.watch(model, given, 'backbone', runner, self.least_share)

    def before_train(self, runner: Runner) -> None:
        """Stop watching: everything is loaded."""
        self.stop()

    def before_test(self, runner: Runner) -> None:
        """Stop watching: everything is loaded."""
        self.stop()

    def stop(self) -> None:
        """Take the hooks off the modules."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def watch(
        self, module: nn.Module, file: str, part: str, runner: Runner, least: float
    ) -> None:
        """Check the share of a module's tensors whenever weights are loaded into it.

        Args:
            module: The network, or a part of it that is loaded by itself.
            file: Where the weights are from.
            part: Name of the part that counts; for the network, of its submodule.
            runner: Its logger is told.
            least: The share that must fit.
        """

        def check(weights: Weights, prefix: str, *_: Any) -> None:
            # A part is also visited while the whole network is loaded.
            if prefix:
                return
            own = module.state_dict()
            inside = f'{part}.'
            if any(name.startswith(inside) for name in own):
                own = {key: own[key] for key in own if key.startswith(inside)}
            count, total = matching(own, weights), len(counted(own))
            where = part or 'the network'
            runner.logger.info(f'{file}: {count} of {total} tensors of {where} fit')
            if count < least * total:
                raise misfit(file, where, own, weights, count)

        self.handles.append(module._register_load_state_dict_pre_hook(check))


def unwrapped(model: nn.Module) -> nn.Module:
    """Take the network out of what distributes or augments it."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = cast('nn.Module', model.module)
    return model


def pretrained_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module, dict]]:
    """List the modules that start from a file, by name and with their init_cfg."""
    for name, module in model.named_modules():
        configured = getattr(module, 'init_cfg', None) or []
        several = configured if isinstance(configured, (list, tuple)) else [configured]
        for init_cfg in several:
            if init_cfg.get('type') == 'Pretrained' and init_cfg.get('checkpoint'):
                yield name, module, init_cfg


def check_prefix(module: nn.Module, init_cfg: dict, where: str) -> None:
    """Refuse a prefix that no name in the file has; MMEngine asserts there is one."""
    prefix, file = init_cfg.get('prefix'), init_cfg['checkpoint']
    if not prefix or '://' in file:
        return
    given = weights_in(read_checkpoint(file), file)
    if any(name.startswith(f'{prefix.rstrip(".")}.') for name in given):
        return
    raise misfit(f'{file} (prefix {prefix})', where, module.state_dict(), given, 0)


def misfit(
    file: str, where: str, own: Weights, given: Weights, count: int
) -> InputError:
    """Word the error of weights that fit too little, with the prefix that would fit."""
    path = Path(file)
    if path.is_file():  # without what a prefix in the config has left out
        given = weights_in(read_checkpoint(path), path)
    total = len(counted(own))
    return InputError(
        f'{file}: only {count} of {total} tensors of {where} fit by name and shape; '
        f'{advice(own, given)}'
    )


def advice(own: Weights, given: Weights) -> str:
    """Say how weights would fit a network, or how they differ."""
    total = len(counted(own))
    prefix, count = fitting_prefix(own, given)
    if prefix and count * 2 > total:
        part = 'backbone.' if all(name.startswith('backbone.') for name in own) else ''
        there = (prefix + part)[:-1]
        return (
            f'{count} fit under the prefix {there!r}: name the file in the init_cfg, '
            f'with it (--cfg-options model.backbone.init_cfg.prefix={there})'
        )
    prefix, count = fitting_prefix(given, own)
    if prefix and count * 2 > total:
        return (
            f'{count} fit without the prefix {prefix[:-1]!r}: the file holds a part, '
            f'give it to model.{prefix[:-1]}.init_cfg.checkpoint'
        )
    for name in counted(own):
        if name in given and given[name].shape != own[name].shape:
            shapes = tuple(given[name].shape), tuple(own[name].shape)
            return (
                'is it of another network or class count? '
                f'{name} is {shapes[0]} there and {shapes[1]} here'
            )
    here, there = next(iter(counted(own)), 'none'), next(iter(given), 'none')
    return (
        f'it looks like another network: the first tensor is {here!r} here and '
        f'{there!r} there'
    )
