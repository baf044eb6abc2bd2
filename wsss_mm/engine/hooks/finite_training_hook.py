"""Stop a training at the first value that is not finite."""

from collections.abc import Mapping

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.checkpoints.checkpoint_file import checkpoints_in
from wsss_mm.checkpoints.finite import first_non_finite
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError


@HOOKS.register_module()
class FiniteTrainingHook(Hook):
    """Stop when the weights at the start or a loss are not finite, and name which.

    What was saved before is kept, nothing is published. Weights are looked at again
    whenever they are saved (:class:`AtomicCheckpointHook`).
    """

    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Refuse to train on weights that are not finite.

        Raises:
            ValueError: If a parameter or a buffer is not finite.
        """
        name = first_non_finite(runner.model)
        if name is not None:
            source = runner.cfg.get('load_from') or 'the initialisation'
            raise InputError(
                f'the training would start from weights that are not finite: {name} '
                f'(weights of {source}); give others'
            )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Stop at a loss that is not finite.

        Raises:
            ValueError: If a loss is not finite.
        """
        for name, value in (outputs or {}).items():
            if 'loss' not in name or bool(torch.isfinite(torch.as_tensor(value)).all()):
                continue
            kept = ', '.join(path.name for path in checkpoints_in(runner.work_dir))
            raise InputError(
                f'{name} is {float(torch.as_tensor(value).mean())} in iteration '
                f'{runner.iter + 1}; the training stops. Kept in {runner.work_dir}: '
                f'{kept or "no checkpoint"}. Lower the learning rate, or look at the '
                'data and the start weights'
            )
