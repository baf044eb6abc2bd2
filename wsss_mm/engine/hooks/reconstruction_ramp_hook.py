"""Let the weight of Puzzle-CAM's reconstruction loss grow."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from wsss_mm.functional.puzzle import reconstruction_weight
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module()
class ReconstructionRampHook(Hook):
    """Set ``decode_head.reconstruction_weight`` before every training step.

    Args:
        maximum: The weight at the end.
        ramp: Part of the training during which it grows linearly from 0.

    Raises:
        ValueError: If the ramp is not in [0, 1].

    Reference:
        Puzzle-CAM's recipe: 4 after half of the training.
    """

    priority = 'NORMAL'

    def __init__(self, maximum: float = 4.0, ramp: float = 0.5) -> None:
        reconstruction_weight(0, 1, maximum=maximum, ramp=ramp)
        self.maximum = maximum
        self.ramp = ramp

    def before_train(self, runner: Runner) -> None:
        """Refuse a network that has no such weight.

        Raises:
            ValueError: If the head has no ``reconstruction_weight``.
        """
        head = self.head(runner)
        if not hasattr(head, 'reconstruction_weight'):
            raise InputError(
                f'ReconstructionRampHook needs a PuzzleCAMHead or AddedPuzzleHead, the '
                f'network has a {type(head).__name__}; remove the hook'
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the weight of this step."""
        self.head(runner).reconstruction_weight = reconstruction_weight(
            runner.iter, runner.max_iters, maximum=self.maximum, ramp=self.ramp
        )

    @staticmethod
    def head(runner: Runner) -> Any:
        """Find the head of the runner's network."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        return model.decode_head
