"""WeCLIP's optimiser and schedule, as configured, against recorded steps."""

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

import wsss_mm.engine  # noqa: F401
from wsss_mm.registry import PARAM_SCHEDULERS


class Scalar(nn.Module):
    """The one trained group: WeCLIP's others are frozen, or empty."""

    def __init__(self, init):
        super().__init__()
        self.decode_head = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.decode_head.weight.copy_(init)


def test_fourteen_steps(root, golden):
    recorded = golden('weclip_unit_poly_adamw')
    path = root / 'configs/_base_/schedules/weclip_30k.py'
    text = path.read_text()
    text = text.replace('max_iters = 30000', 'max_iters = 12')
    text = text.replace('warm_up = 50', 'warm_up = 5')
    config = Config.fromstring(text, '.py')
    model = Scalar(torch.tensor(recorded['init'][2]))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    schedulers = [
        PARAM_SCHEDULERS.build({**one, 'optimizer': wrapper})
        for one in config.param_scheduler
    ]
    rates, values = [], []
    for gradients in recorded['grads']:
        model.decode_head.weight.grad = torch.full((1, 1), float(gradients[2]))
        rates.append(wrapper.optimizer.param_groups[0]['lr'])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
        values.append(model.decode_head.weight.item())
    np.testing.assert_allclose(rates, recorded['lr_used'][:, 2], rtol=1e-6)
    np.testing.assert_allclose(values, recorded['params'][:, 2], rtol=1e-6)


def test_the_whole_schedule_does_not_drift(root):
    config = Config.fromfile(root / 'configs/_base_/schedules/weclip_30k.py')
    wrapper = build_optim_wrapper(Scalar(torch.ones(1)), config.optim_wrapper)
    schedulers = [
        PARAM_SCHEDULERS.build({**one, 'optimizer': wrapper})
        for one in config.param_scheduler
    ]
    wrapper.step = lambda: None
    for t in range(30000):
        expected = 1e-6 + (1 - 1e-6) * t / 50 if t < 50 else 1 - t / 30000
        found = wrapper.optimizer.param_groups[0]['lr'] / 2e-3
        assert abs(found - expected) < 1e-9 + 1e-6 * expected, t
        for scheduler in schedulers:
            scheduler.step()
