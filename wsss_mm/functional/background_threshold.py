"""A background threshold for CAMs, chosen without any mask.

A threshold cuts each image into foreground and background. A good cut separates
the scores, as Otsu's threshold does, and the colours too: objects look different
from what is around them. Scores alone mislead where a CAM peaks on small parts,
colours alone where an image is uniform; their product needs no constant.

Reference:
    Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions
    on Systems, Man, and Cybernetics, 1979. The product with colours is our own; its
    loss against the best threshold is measured in docs/protocol.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .confusion import check_thresholds

Floats = npt.NDArray[np.float64]


def threshold_separation(
    score: npt.NDArray[Any],
    image: npt.NDArray[Any],
    *,
    thresholds: Sequence[float] | npt.NDArray[Any],
) -> Floats:
    """Measure how well each threshold separates the scores and colours of an image.

    Args:
        score: Score of each pixel's strongest class, shape (H, W).
        image: Colours in any unit, shape (H, W, 3).
        thresholds: T background scores, ascending, not negative.

    Returns:
        Parts of the variance of the scores (row 0) and of the colours (row 1) that
        lie between foreground and background, in [0, 1], shape (2, T); 0 where one
        side is empty or nothing varies.

    Raises:
        ValueError: If shapes do not fit, a score is not finite or thresholds are
            not ascending.

    Example:
        >>> score, grey = np.array([[0.1, 0.1, 0.8]]), np.array([[5, 5, 90]])
        >>> image = np.stack([grey] * 3, axis=2)
        >>> threshold_separation(score, image, thresholds=[0.0, 0.5]).round(3)
        array([[0., 1.],
               [0., 1.]])
    """
    limits = check_thresholds(thresholds)
    score, image = np.asarray(score, dtype=np.float32), np.asarray(image)
    if score.ndim != 2 or score.size == 0 or image.shape != (*score.shape, 3):
        raise ValueError(
            'score must have the shape (H, W) and image (H, W, 3), got '
            f'{score.shape} and {image.shape}'
        )
    if not np.isfinite(score).all():
        raise ValueError('score must be finite, got NaN or infinity')
    exceeded = np.searchsorted(limits, score.ravel(), side='left')
    colours = image.reshape(-1, 3).astype(np.float64)
    return np.stack(
        [
            _explained(values, exceeded, len(limits))
            for values in (score.reshape(-1, 1).astype(np.float64), colours)
        ]
    )


def choose_threshold(
    separations: npt.NDArray[Any],
    *,
    thresholds: Sequence[float] | npt.NDArray[Any],
) -> float:
    """Choose the threshold that separates both scores and colours of a data set.

    Args:
        separations: Of `threshold_separation`, one for each image that shows a
            class, shape (N, 2, T).
        thresholds: The T thresholds they were made with.

    Returns:
        The threshold whose product of the two mean separations is the largest; the
        lowest of these on ties.

    Raises:
        ValueError: If shapes do not fit, or no threshold separates anything.

    Example:
        >>> separations = np.array([[[0.9, 0.8, 0.1], [0.1, 0.5, 0.6]]])
        >>> choose_threshold(separations, thresholds=[0.1, 0.2, 0.3])
        0.2
    """
    separations = np.asarray(separations, dtype=np.float64)
    limits = check_thresholds(thresholds)
    if separations.shape != (len(separations), 2, len(limits)):
        raise ValueError(
            f'separations must have the shape (N, 2, {len(limits)}), got '
            f'{separations.shape}'
        )
    if len(separations) == 0:
        raise ValueError('no image to choose a threshold from')
    merit = separations.mean(axis=0).prod(axis=0)
    if not merit.max() > 0:
        raise ValueError(
            'no threshold separates anything: the scores or the images are uniform'
        )
    return float(thresholds[int(merit.argmax())])


def _explained(values: Floats, exceeded: npt.NDArray[np.intp], count: int) -> Floats:
    """Part of the variance of values (P, D) between both sides of each threshold."""
    total = values - values.mean(axis=0)
    variance = float((total**2).sum())
    levels = count + 1
    # Sums over the pixels that exceed threshold t: all levels above t.
    above = np.bincount(exceeded, minlength=levels)[::-1].cumsum()[::-1][1:]
    sums = np.stack(
        [np.bincount(exceeded, column, minlength=levels) for column in total.T]
    )
    upper = sums[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    both = (above > 0) & (above < len(values))
    # The two sides' sums cancel, as the values are centred.
    scale = np.where(both, above * (1 - above / len(values)), 1.0)
    between = (upper**2).sum(axis=0) / scale
    if variance <= 1e-12 * max(float((values**2).sum()), 1e-12):
        return np.zeros(count)
    return np.asarray(np.where(both, between / variance, 0.0))
