"""Losses of two branches that segment the same image and teach each other.

Reference:
    Zhang et al., "Frozen CLIP-DINO" (WeCLIP+), TPAMI 2025, and its released code,
    https://github.com/zbf1991/WeCLIP.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .balanced_loss import IGNORE, balanced_cross_entropy


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Compare predicted and labelled areas of every class by the Dice coefficient.

    Sums are over the batch; the mean is over all K classes, also those that the batch
    does not show.

    Args:
        logits: Of background and classes, shape (B, K, H, W).
        mask: Labels with 0 for background and 255 for pixels without a label,
            integers, shape (B, H, W).

    Returns:
        One minus the mean coefficient, a scalar in [0, 1].

    Raises:
        ValueError: If the shapes do not fit.

    Note:
        As released, what is predicted at pixels without a label counts as wrong.
    """
    if logits.ndim != 4 or mask.shape != logits[:, 0].shape:
        raise ValueError(
            'logits must have the shape (B, K, H, W) and mask (B, H, W), got '
            f'{tuple(logits.shape)} and {tuple(mask.shape)}'
        )
    probabilities = logits.softmax(dim=1)
    labelled = (mask != IGNORE)[:, None]
    label = mask.long().masked_fill(mask == IGNORE, 0)
    onehot = F.one_hot(label, logits.shape[1]).permute(0, 3, 1, 2) * labelled
    axes = (0, 2, 3)
    common = (probabilities * onehot).sum(dim=axes)
    areas = probabilities.sum(dim=axes) + onehot.sum(dim=axes)
    return 1 - (2 * common / (areas + 1e-7)).mean()


def mutual_loss(first: Tensor, second: Tensor) -> Tensor:
    """Teach each of two branches what the other predicts.

    Args:
        first: Logits of one branch, shape (B, K, H, W).
        second: Those of the other.

    Returns:
        The sum of both balanced cross entropies against the other's argmax.

    Raises:
        ValueError: If the shapes differ.

    Note:
        A branch that predicts no background, or nothing else, gives NaN in the
        released code; here that half is left out.
    """
    if first.shape != second.shape:
        raise ValueError(
            f'both branches must have one shape, got {tuple(first.shape)} and '
            f'{tuple(second.shape)}'
        )
    return balanced_cross_entropy(first, second.argmax(dim=1)) + balanced_cross_entropy(
        second, first.argmax(dim=1)
    )


def trusted_label(mask: Tensor, logits: Tensor, *, threshold: float = 0.75) -> Tensor:
    """Overwrite labels by what a network is sure of.

    Args:
        mask: Labels, integers, shape (B, H, W).
        logits: Shape (B, K, H, W).
        threshold: Probability that a prediction must exceed.

    Returns:
        Labels, shape (B, H, W).

    Raises:
        ValueError: If the shapes do not fit.
    """
    if logits.ndim != 4 or mask.shape != logits[:, 0].shape:
        raise ValueError(
            'mask must have the shape (B, H, W) and logits (B, K, H, W), got '
            f'{tuple(mask.shape)} and {tuple(logits.shape)}'
        )
    sure, label = logits.softmax(dim=1).max(dim=1)
    return torch.where(sure > threshold, label.to(mask.dtype), mask)
