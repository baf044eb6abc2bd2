"""SEAM's optimiser and schedule, as configured, against recorded steps."""

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

import wsss_mm.engine  # noqa: F401
from wsss_mm.registry import PARAM_SCHEDULERS


class Scalars(nn.Module):
    """Two scalars of the first group and one of the last."""

    def __init__(self, init):
        super().__init__()
        self.backbone = nn.Linear(2, 1, bias=False)
        self.decode_head = nn.Module()
        self.decode_head.classifier = nn.Linear(1, 1)
        self.decode_head.classifier.weight.requires_grad = False
        with torch.no_grad():
            self.backbone.weight.copy_(init[:2])
            self.decode_head.classifier.bias.copy_(init[2:])

    def values(self):
        parts = (self.backbone.weight, self.decode_head.classifier.bias)
        return torch.cat([part.detach().flatten() for part in parts])

    def set_grads(self, grads):
        self.backbone.weight.grad = grads[:2].reshape(1, 2).clone()
        self.decode_head.classifier.bias.grad = grads[2:].clone()


def test_twelve_steps(root, golden):
    recorded = golden('poly_sgd')
    config = Config.fromfile(root / 'configs/_base_/schedules/seam_poly.py')
    assert config.optim_wrapper.optimizer.lr == recorded['base_lr']
    assert config.optim_wrapper.optimizer.weight_decay == recorded['weight_decay']
    model = Scalars(torch.from_numpy(recorded['init']))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    (schedule,) = config.param_scheduler
    scheduler = PARAM_SCHEDULERS.build(
        {**schedule, 'optimizer': wrapper, 'end': int(recorded['max_step'])}
    )
    rates, values = [], []
    for grads in recorded['grads']:
        model.set_grads(torch.from_numpy(grads))
        rates.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        scheduler.step()
        values.append(model.values().numpy().copy())
    np.testing.assert_allclose(rates, recorded['lr_used'], rtol=1e-9)
    np.testing.assert_allclose(values, recorded['params'], rtol=1e-5, atol=1e-6)
