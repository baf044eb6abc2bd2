"""Let WeCLIP rely on what it has learnt, from some iteration on."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.engine.hooks.dataset_meta_hook import innermost
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module()
class AffinitySwitchHook(Hook):
    """Set ``model.trusts_affinity``, or another switch, before every training step.

    Args:
        begin: First iteration, counted from 1, whose masks are made with the affinity.
        switch: Name of the switch: ``trusts_prediction`` is WeCLIP+'s.

    Raises:
        InputError: If `begin` is less than 1.

    Reference:
        WeCLIP's released code. Its counter of 15,000 goes on during validation, of
        1,464 images every 2,000 iterations, so that on VOC the switch is at 9,145; on
        COCO it is at 40,001.
    """

    priority = 'NORMAL'

    def __init__(self, begin: int, *, switch: str = 'trusts_affinity') -> None:
        if begin < 1:
            raise InputError(f'begin is {begin}: iterations are counted from 1')
        self.begin = begin
        self.switch = switch

    def before_train(self, runner: Runner) -> None:
        """Refuse a network that has no such switch.

        Raises:
            InputError: If it is no WeCLIP.
        """
        network = innermost(runner.model)
        if not hasattr(network, self.switch):
            raise InputError(
                f'AffinitySwitchHook sets {self.switch} of a WeCLIP, the network is a '
                f'{type(network).__name__}; remove the hook'
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the switch for this step; a resumed training counts on."""
        network: Any = innermost(runner.model)
        setattr(network, self.switch, runner.iter + 1 >= self.begin)
