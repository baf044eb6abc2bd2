"""Cross entropy in which background and foreground weigh the same.

Reference:
    Ru et al., "Learning Affinity from Attention" (AFA), CVPR 2022, and Zhang et al.,
    "Frozen CLIP" (WeCLIP), CVPR 2024; `get_seg_loss` of their released codes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = 255


def balanced_cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Average the cross entropy over background and over foreground, half each.

    Args:
        logits: Of background and classes, shape (B, K, H, W).
        mask: Labels with 0 for background and 255 for pixels that do not count,
            integers, shape (B, H, W).

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If the shapes do not fit.

    Note:
        A batch without background, or without foreground, has no such half; the
        released code gives NaN there.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 3)
        >>> balanced_cross_entropy(logits, torch.tensor([[[0, 1, 255]]]))
        tensor(0.6931)
    """
    if logits.ndim != 4 or mask.shape != logits[:, 0].shape:
        raise ValueError(
            'logits must have the shape (B, K, H, W) and mask (B, H, W), got '
            f'{tuple(logits.shape)} and {tuple(mask.shape)}'
        )
    loss = F.cross_entropy(logits, mask.long(), ignore_index=IGNORE, reduction='none')
    background = mask == 0
    foreground = ~background & (mask != IGNORE)
    return (_mean_over(loss, background) + _mean_over(loss, foreground)) / 2


def _mean_over(loss: Tensor, pixels: Tensor) -> Tensor:
    """Average over some pixels; 0, with a gradient of 0, where there are none."""
    # Chosen instead of multiplied: infinity times nothing would be NaN.
    total = torch.where(pixels, loss, torch.zeros_like(loss)).sum()
    return total / pixels.sum().clamp(min=1)
