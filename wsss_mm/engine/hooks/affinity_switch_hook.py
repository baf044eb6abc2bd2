"""Let WeCLIP's masks be made with the affinity that it has learnt."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.engine.hooks.dataset_meta_hook import innermost
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module()
class AffinitySwitchHook(Hook):
    """Set ``model.trusts_affinity`` before every training step.

    Args:
        begin: First iteration, counted from 1, whose masks are made with the affinity.

    Raises:
        InputError: If `begin` is less than 1.

    Reference:
        WeCLIP's released code. Its counter of 15,000 goes on during validation, of
        1,464 images every 2,000 iterations, so that on VOC the switch is at 9,145; on
        COCO it is at 40,001.
    """

    priority = 'NORMAL'

    def __init__(self, begin: int) -> None:
        if begin < 1:
            raise InputError(f'begin is {begin}: iterations are counted from 1')
        self.begin = begin

    def before_train(self, runner: Runner) -> None:
        """Refuse a network that has no such switch.

        Raises:
            InputError: If the network has no ``trusts_affinity``.
        """
        network = innermost(runner.model)
        if not hasattr(network, 'trusts_affinity'):
            raise InputError(
                f'AffinitySwitchHook needs a WeCLIP, the network is a '
                f'{type(network).__name__}; remove the hook'
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the switch for this step; a resumed training counts on."""
        network: Any = innermost(runner.model)
        network.trusts_affinity = runner.iter + 1 >= self.begin
