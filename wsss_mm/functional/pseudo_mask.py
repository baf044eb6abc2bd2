"""Pseudo masks: from normalised CAMs to a class per pixel.

Reference:
    The evaluation of SEAM's released code, https://github.com/YudeWang/SEAM.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt


def cam_to_mask(
    maps: npt.NDArray[Any], classes: npt.ArrayLike, *, threshold: float
) -> npt.NDArray[np.uint8]:
    """Give every pixel its strongest class, or background.

    A class must exceed the threshold: at equality the background wins. Between
    classes that tie, the lowest index wins. Scores are compared in float32.

    Args:
        maps: Normalised CAMs of the classes present, shape (n, H, W); n may be 0.
        classes: Their foreground indices, shape (n,), ascending, in 0..253.
        threshold: Constant score of the background, not negative (an absent class
            scores zero).

    Returns:
        Indices with 0 for background and i + 1 for foreground class i, shape
        (H, W).

    Raises:
        ValueError: If shapes do not fit, classes are not ascending or out of
            range, a map is not finite or the threshold is negative.

    Example:
        >>> maps = np.array([[[0.1, 0.9]], [[0.2, 0.3]]])
        >>> cam_to_mask(maps, [4, 7], threshold=0.15)
        array([[8, 5]], dtype=uint8)
    """
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ValueError(f'threshold must be a number >= 0, got {threshold}')
    winner, score = strongest_class(maps, classes)
    return np.where(score > np.float32(threshold), winner, 0).astype(np.uint8)


def strongest_class(
    maps: npt.NDArray[Any], classes: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find the strongest class of every pixel and its score.

    Args:
        maps: Normalised CAMs, shape (n, H, W); n may be 0.
        classes: Their foreground indices, shape (n,), ascending.

    Returns:
        Mask indices (class + 1; 0 where n is 0), shape (H, W), and scores in
        float32 (-inf where n is 0), shape (H, W).

    Raises:
        ValueError: As `cam_to_mask`.

    Example:
        >>> winner, score = strongest_class(np.array([[[0.5]], [[0.5]]]), [2, 3])
        >>> winner.tolist(), score.tolist()
        ([[3]], [[0.5]])
    """
    maps, indices = np.asarray(maps), np.asarray(classes)
    if maps.ndim != 3 or indices.shape != maps.shape[:1]:
        raise ValueError(
            'maps must have the shape (n, H, W) and classes (n,), got '
            f'{maps.shape} and {indices.shape}'
        )
    if len(indices) == 0:
        empty = np.zeros(maps.shape[1:], dtype=np.int64)
        return empty, np.full(maps.shape[1:], -np.inf, dtype=np.float32)
    if indices.dtype.kind not in 'iu' or indices.min() < 0 or indices.max() > 253:
        raise ValueError(f'classes must be integers in 0..253, got {indices.tolist()}')
    if (np.diff(indices.astype(np.int64)) <= 0).any():
        raise ValueError(f'classes must be ascending, got {indices.tolist()}')
    if not np.isfinite(maps).all():
        raise ValueError('maps must be finite, got NaN or infinity')
    scores = maps.astype(np.float32)
    first = scores.argmax(axis=0)
    score = np.take_along_axis(scores, first[None], axis=0)[0]
    return indices.astype(np.int64)[first] + 1, score
