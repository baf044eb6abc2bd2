"""Let the network know the dataset's classes, for heads that read their names."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from wsss_mm.registry import HOOKS


def innermost(model: nn.Module) -> nn.Module:
    """Return the network inside test-time augmentation and distributed wrappers."""
    inner: Any = model
    while isinstance(inner, BaseTTAModel) or is_model_wrapper(inner):
        inner = inner.module
    return inner


@HOOKS.register_module()
class DatasetMetaHook(Hook):
    """Set ``model.dataset_meta`` to the metainfo of the dataset that is gone through.

    MMSegmentation's ``init_model`` and inferencer set the same attribute, from the
    checkpoint. A training run validates on the classes that it trains.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Take the metainfo of the training data."""
        self.set(runner, runner.train_dataloader)

    def before_val(self, runner: Runner) -> None:
        """Take the metainfo of the validation data."""
        self.set(runner, runner.val_dataloader)

    def before_test(self, runner: Runner) -> None:
        """Take the metainfo of the test data."""
        self.set(runner, runner.test_dataloader)

    def set(self, runner: Runner, loader: Any) -> None:
        """Set the attribute from a loop's data."""
        network: Any = innermost(runner.model)
        network.dataset_meta = loader.dataset.metainfo
