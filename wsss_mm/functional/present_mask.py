"""Pseudo masks of a batch, decided where the CAMs are.

`cam_to_mask` makes the same masks from arrays, one image at a time.
"""

import math

import torch
from torch import Tensor


def present_masks(maps: Tensor, classes: Tensor, *, threshold: float) -> Tensor:
    """Give every pixel its strongest present class, or background.

    As `cam_to_mask`: a class must exceed the threshold, of classes that tie the first
    one wins, and scores are compared in float32.

    Args:
        maps: Normalised CAMs of the classes present, shape (B, n, H, W); -inf for a
            class that an image lacks.
        classes: Their foreground indices, ascending, shape (B, n).
        threshold: Constant score of the background, not negative.

    Returns:
        Indices with 0 for background and i + 1 for foreground class i, int64, shape
        (B, H, W), on the device of the maps.

    Raises:
        ValueError: If shapes do not fit or the threshold is negative.

    Example:
        >>> maps = torch.tensor([[[[0.1, 0.9]], [[0.2, 0.3]]]])
        >>> present_masks(maps, torch.tensor([[4, 7]]), threshold=0.15)
        tensor([[[8, 5]]])
    """
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ValueError(f'threshold must be a number >= 0, got {threshold}')
    if maps.ndim != 4 or classes.shape != maps.shape[:2]:
        raise ValueError(
            'maps must have the shape (B, n, H, W) and classes (B, n), got '
            f'{tuple(maps.shape)} and {tuple(classes.shape)}'
        )
    shape = (maps.shape[0], *maps.shape[2:])
    best = maps.new_full(shape, threshold, dtype=torch.float32)
    mask = torch.zeros(shape, dtype=torch.int64, device=maps.device)
    # One class after the other: no tie is left to the device, and no argmax's memory.
    for index in range(maps.shape[1]):
        scores = maps[:, index].float()
        wins = scores > best
        mask = torch.where(wins, classes[:, index, None, None] + 1, mask)
        best = torch.where(wins, scores, best)
    return mask
