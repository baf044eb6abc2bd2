"""Find values that are not finite."""

import torch
from torch import nn


def first_non_finite(model: nn.Module) -> str | None:
    """Name the first parameter or buffer with a value that is not finite."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
