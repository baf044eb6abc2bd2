"""Pseudo masks from class attention and a saliency map.

References:
    Hou et al., "Self-Erasing Network for Integral Object Attention" (SeeNet),
    NeurIPS 2018, and its authors' answers to users of the released code.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .pseudo_mask import strongest_class

IGNORE = 255


def saliency_mask(
    maps: npt.NDArray[Any],
    classes: npt.ArrayLike,
    saliency: npt.NDArray[Any],
    *,
    threshold: float = 0.3,
    conflict: float = 0.7,
    least_saliency: float = 32 / 255,
) -> npt.NDArray[np.uint8]:
    """Give a pixel the class that both attention and saliency speak for.

    The score of a class is the harmonic mean of its attention and the saliency.
    A pixel takes its best class if that scores at least `threshold`, the saliency
    is at least `least_saliency`, and not two classes attend to it with `conflict` or
    more. It is background if the saliency is below `least_saliency` and no class
    attends to it with `threshold` or more. Everything else is ignored.

    Source: SeeNet's proxy ground truth.

    Args:
        maps: Normalised CAMs of the classes present, shape (n, H, W); n may be 0;
            clipped to [0, 1].
        classes: Their foreground indices, shape (n,), ascending, in 0..253.
        saliency: Saliency of each pixel, shape (H, W), in [0, 1].
        threshold: Smallest score of an object.
        conflict: Attention that a second class must not reach.
        least_saliency: Saliency below which a pixel is not an object.

    Returns:
        Indices with 0 for background, i + 1 for foreground class i and 255 for
        ignored pixels, shape (H, W).

    Raises:
        ValueError: If shapes do not fit, classes are not ascending or out of
            range, or a value is not in [0, 1].

    Note:
        The authors name harmonic mean, ambiguity and low saliency as the rule's
        parts, but have not released it: how they combine is this project's reading.

    Example:
        >>> maps = np.array([[[0.9, 0.9, 0.1, 0.1]]])
        >>> saliency = np.array([[1.0, 0.0, 1.0, 0.0]])
        >>> saliency_mask(maps, [4], saliency)
        array([[  5, 255, 255,   0]], dtype=uint8)
    """
    bounds = {
        'threshold': threshold,
        'conflict': conflict,
        'least_saliency': least_saliency,
    }
    for name, value in bounds.items():
        if not 0 <= value <= 1:
            raise ValueError(f'{name} must be in [0, 1], got {value}')
    maps, salient = np.asarray(maps), np.asarray(saliency, dtype=np.float32)
    if salient.shape != maps.shape[1:]:
        raise ValueError(
            f'saliency must have the shape {maps.shape[1:]} of the maps, '
            f'got {salient.shape}'
        )
    if not (np.isfinite(salient).all() and (salient >= 0).all() and salient.max() <= 1):
        raise ValueError('saliency must be in [0, 1]')
    attention = np.clip(maps.astype(np.float32), 0, 1)
    total = attention + salient
    score = 2 * attention * salient / np.where(total > 0, total, 1)
    # Scores of NaN maps are NaN and refused here, with the classes.
    winner, best = strongest_class(score, classes)
    is_low = salient < np.float32(least_saliency)
    is_claimed = (attention >= np.float32(threshold)).any(axis=0)
    is_ambiguous = (attention >= np.float32(conflict)).sum(axis=0) > 1
    is_object = ~is_low & ~is_ambiguous & (best >= np.float32(threshold))
    mask = np.where(is_object, winner, IGNORE)
    mask[is_low & ~is_claimed] = 0
    return mask.astype(np.uint8)
