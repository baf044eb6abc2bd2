"""Confusion: count pixels by true and predicted class, and read IoU off the counts.

Reference:
    The evaluation of SEAM's released code, https://github.com/YudeWang/SEAM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .pseudo_mask import strongest_class

EPS = 1e-10

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IoUReport:
    """What the counts of a whole data set say; every value is a fraction.

    Attributes:
        iou: Intersection over union, shape (K,); 0 for a class that is neither
            in the ground truth nor predicted.
        precision: Part of the predicted pixels that is right, shape (K,).
        recall: Part of the true pixels that is found, shape (K,).
        miou: Mean of `iou` over all K classes, absent ones included.
        mfn: Mean over the foreground of missed pixels per pixel found (the
            under-activation measure of SEAM's paper).
        mfp: Mean over the foreground of wrong pixels per pixel found (the
            over-activation measure).
    """

    iou: Scores
    precision: Scores
    recall: Scores
    miou: float
    mfn: float
    mfp: float


def confusion_counts(
    pred: npt.NDArray[Any],
    gt: npt.NDArray[Any],
    num_classes: int,
    *,
    ignore: int = 255,
) -> Counts:
    """Count the pixels of one image by true and predicted class.

    Args:
        pred: Predicted mask indices in 0..K-1, shape (H, W). Where `gt` is
            ignored they may be anything.
        gt: True mask indices in 0..K-1 or `ignore`, shape (H, W).
        num_classes: K, with the background.
        ignore: True index of pixels that do not count.

    Returns:
        Counts, true class in rows, predicted class in columns, shape (K, K).

    Raises:
        ValueError: If shapes differ, an array holds no integers, or an index is
            out of range.

    Note:
        The reference lets a predicted 255 silently miss: it counts among the true
        pixels and nowhere else. Here it is refused; decide first what an
        undecided pixel shall be.

    Example:
        >>> confusion_counts(np.array([[0, 1, 1]]), np.array([[0, 0, 255]]), 2)
        array([[1, 1],
               [0, 0]])
    """
    _check_index_mask('pred', pred)
    valid = _valid(gt, num_classes, ignore, shape=pred.shape)
    predicted = pred[valid].astype(np.int64)
    _check_range('pred', predicted, num_classes)
    pairs = gt[valid].astype(np.int64) * num_classes + predicted
    return _count(pairs, (num_classes, num_classes))


def iou_report(confusion: npt.NDArray[Any]) -> IoUReport:
    """Read IoU and its relatives off the counts, as the reference computes them.

    Args:
        confusion: Counts summed over a data set, shape (K, K), true class in
            rows, predicted class in columns, class 0 the background.

    Returns:
        The report.

    Raises:
        ValueError: If `confusion` is not a square of non-negative numbers.

    Note:
        mmseg leaves a class that is absent from both sides out of the mean; the
        reference counts it as zero. As there, 1e-10 is added to each divisor, so
        a class without a single hit makes `mfn` or `mfp` huge, not infinite.

    Example:
        >>> report = iou_report(np.array([[2, 1], [0, 1]]))
        >>> report.iou.round(3).tolist(), round(report.mfp, 3)
        ([0.667, 0.5], 1.0)
    """
    confusion = np.asarray(confusion)
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f'confusion must have the shape (K, K), got {confusion.shape}')
    if len(confusion) < 2 or (confusion < 0).any():
        raise ValueError('confusion must hold counts of at least two classes')
    hit = np.diagonal(confusion).astype(np.float64)
    true = confusion.sum(axis=1).astype(np.float64)
    found = confusion.sum(axis=0).astype(np.float64)
    iou = hit / (true + found - hit + EPS)
    missed = (true - hit) / (hit + EPS)
    wrong = (found - hit) / (hit + EPS)
    return IoUReport(
        iou=iou,
        precision=hit / (found + EPS),
        recall=hit / (true + EPS),
        miou=float(iou.mean()),
        mfn=float(missed[1:].mean()),
        mfp=float(wrong[1:].mean()),
    )


def threshold_histogram(
    maps: npt.NDArray[Any],
    classes: npt.ArrayLike,
    gt: npt.NDArray[Any],
    *,
    num_classes: int,
    thresholds: Sequence[float] | npt.NDArray[Any],
    ignore: int = 255,
) -> Counts:
    """Count the pixels of one image by the thresholds their best class exceeds.

    One pass serves all thresholds; sum the result over images and hand it to
    `threshold_curve`.

    Args:
        maps: Normalised CAMs of the classes present, shape (n, H, W); n may be 0.
        classes: Their foreground indices, shape (n,), ascending.
        gt: True mask indices in 0..K-1 or `ignore`, shape (H, W).
        num_classes: K, with the background.
        thresholds: T background scores, ascending, not negative.
        ignore: True index of pixels that do not count.

    Returns:
        Counts, shape (T + 1, K, K): entry (t, i, j) counts pixels of true class i
        whose strongest class j exceeds exactly the first t thresholds.

    Raises:
        ValueError: If shapes do not fit, an index is out of range, a map is not
            finite or thresholds are not ascending.

    Example:
        >>> maps, gt = np.array([[[0.1, 0.6]]]), np.array([[1, 1]])
        >>> counts = threshold_histogram(
        ...     maps, [0], gt, num_classes=2, thresholds=[0.0, 0.5]
        ... )
        >>> counts[:, 1, 1].tolist()
        [0, 1, 1]
    """
    limits = check_thresholds(thresholds)
    winner, score = strongest_class(maps, classes)
    valid = _valid(gt, num_classes, ignore, shape=winner.shape)
    winner = winner[valid]
    _check_range('class + 1', winner, num_classes)
    exceeded = np.searchsorted(limits, score[valid], side='left')
    pairs = gt[valid].astype(np.int64) * num_classes + winner
    shape = (len(limits) + 1, num_classes, num_classes)
    return _count(exceeded * num_classes**2 + pairs, shape)


def threshold_curve(histogram: npt.NDArray[Any]) -> Counts:
    """Turn threshold counts into one confusion matrix per threshold.

    Equal to masking and counting at every threshold.

    Args:
        histogram: Counts of `threshold_histogram`, summed over images, shape
            (T + 1, K, K).

    Returns:
        Counts, shape (T, K, K), true class in rows, predicted class in columns.

    Raises:
        ValueError: If `histogram` has another shape.

    Example:
        >>> counts = np.zeros((2, 2, 2), dtype=np.int64)
        >>> counts[0, 1, 1] = counts[1, 1, 1] = 3
        >>> threshold_curve(counts)[0]
        array([[0, 0],
               [3, 3]])
    """
    histogram = np.asarray(histogram)
    if histogram.ndim != 3 or histogram.shape[1] != histogram.shape[2]:
        raise ValueError(
            f'histogram must have the shape (T + 1, K, K), got {histogram.shape}'
        )
    upwards = histogram[::-1].cumsum(axis=0)[::-1]
    curve = upwards[1:].astype(np.int64)
    curve[:, :, 0] += histogram.sum(axis=(0, 2)) - upwards[1:].sum(axis=2)
    return curve


def _count(flat: npt.NDArray[Any], shape: tuple[int, ...]) -> Counts:
    counts = np.bincount(flat, minlength=int(np.prod(shape)))
    return counts.astype(np.int64).reshape(shape)


def _valid(
    gt: npt.NDArray[Any], num_classes: int, ignore: int, *, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    _check_index_mask('gt', gt)
    if gt.shape != shape:
        raise ValueError(
            'prediction and ground truth must have one size, got '
            f'{shape} and {gt.shape}'
        )
    valid: npt.NDArray[np.bool_] = gt != ignore
    _check_range('gt', gt[valid], num_classes)
    return valid


def _check_index_mask(name: str, mask: npt.NDArray[Any]) -> None:
    if mask.ndim != 2 or mask.dtype.kind not in 'iu':
        raise ValueError(
            f'{name} must be an integer mask of shape (H, W), got {mask.dtype} of '
            f'shape {mask.shape}'
        )


def _check_range(name: str, values: npt.NDArray[Any], num_classes: int) -> None:
    if values.size and (values.min() < 0 or values.max() >= num_classes):
        bad = values[(values < 0) | (values >= num_classes)][0]
        raise ValueError(
            f'{name} must lie in 0..{num_classes - 1} where the ground truth counts, '
            f'got {bad}'
        )


def check_thresholds(
    thresholds: Sequence[float] | npt.NDArray[Any],
) -> npt.NDArray[np.float32]:
    """Refuse anything but ascending thresholds that are not negative."""
    limits = np.asarray(thresholds, dtype=np.float32)
    if limits.ndim != 1 or limits.size == 0 or not np.isfinite(limits).all():
        raise ValueError(f'thresholds must be a list of numbers, got {thresholds}')
    if limits[0] < 0 or (np.diff(limits) <= 0).any():
        raise ValueError(f'thresholds must be ascending and >= 0, got {thresholds}')
    return limits
