"""Mixed precision, as the verbs turn it on."""

from contextlib import AbstractContextManager

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner.amp import autocast

from wsss_mm.utils.errors import InputError


def autocast_on(
    device: str | torch.device, *, enabled: bool
) -> AbstractContextManager[None]:
    """Give a context of mixed precision: float16 on a GPU, bfloat16 on a CPU.

    Args:
        device: Where the network is.
        enabled: Whether precision is mixed; else all is as it was built.
    """
    context: AbstractContextManager[None] = autocast(
        device_type=torch.device(device).type, enabled=enabled
    )
    return context


def train_in_half(cfg: Config) -> None:
    """Change a config so that it trains in mixed precision, with a loss scale.

    Raises:
        InputError: If there is no device that does.
    """
    check_half_training()
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.loss_scale = 'dynamic'


def check_half_training() -> None:
    """Refuse mixed precision where there is no device that trains in it.

    Raises:
        InputError: If so.
    """
    if get_device() == 'cpu':
        raise InputError(
            'amp: training in mixed precision needs a GPU, and there is none here; '
            'leave --amp out'
        )


def predict_in_half(cfg: Config) -> None:
    """Change a config so that its test loop computes in mixed precision."""
    cfg.test_cfg.fp16 = True


def predicts_in_half(cfg: Config) -> bool:
    """Say whether a config's test loop computes in mixed precision."""
    return bool((cfg.get('test_cfg') or {}).get('fp16'))
