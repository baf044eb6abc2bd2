"""Summaries: from pixel counts to the figures, tables and JSON that people read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from prettytable import PrettyTable

from wsss_mm.functional import iou_report, threshold_curve
from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError

# The background scores that the released evaluation of SEAM tries.
# No ratio of counted pixels is that large.
NO_RATIO = 1e7
THRESHOLDS = tuple(index / 100 for index in range(60))


def score_confusion(confusion: npt.NDArray[Any]) -> dict[str, float]:
    """Score the counts of a data set.

    Args:
        confusion: Counts, true class in rows, predicted class in columns, shape
            (K, K).

    Returns:
        `mIoU` in percent over all K classes; `mFN` and `mFP`, missed and wrong
        pixels per pixel found, mean over the foreground (ratios, not percent).
    """
    report = iou_report(confusion)
    return {'mIoU': 100 * report.miou, 'mFN': report.mfn, 'mFP': report.mfp}


def score_curve(
    histogram: npt.NDArray[Any], thresholds: Sequence[float]
) -> list[dict[str, float]]:
    """Score every background threshold.

    Args:
        histogram: Counts of `functional.threshold_histogram` summed over the data
            set, shape (T + 1, K, K).
        thresholds: The T thresholds it was counted with.

    Returns:
        One dict per threshold: `threshold` and the keys of `score_confusion`.

    Raises:
        ValueError: If the histogram was counted with another number of thresholds.
    """
    counts = threshold_curve(histogram)
    if len(counts) != len(thresholds):
        raise InputError(
            f'the histogram holds {len(counts)} thresholds, {len(thresholds)} given'
        )
    return [
        {'threshold': float(threshold), **score_confusion(confusion)}
        for threshold, confusion in zip(thresholds, counts)
    ]


def best_point(curve: Sequence[dict[str, float]]) -> dict[str, float]:
    """Find the point of highest mIoU, the lowest threshold on ties.

    The choice looks at ground truth: a figure to compare CAMs with, not one that a
    weakly supervised user could reach.
    """
    if not curve:
        raise InputError('the threshold curve is empty')
    return max(curve, key=lambda point: point['mIoU'])


def class_table(confusion: npt.NDArray[Any], names: Sequence[str]) -> str:
    """Format IoU, precision and recall of every class, in percent."""
    return scores_table(class_scores(confusion, names))


def class_scores(
    confusion: npt.NDArray[Any], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """List IoU, precision and recall of every class, in percent."""
    report = iou_report(confusion)
    columns = {
        'IoU': report.iou,
        'precision': report.precision,
        'recall': report.recall,
    }
    return {
        name: {key: 100 * float(values[i]) for key, values in columns.items()}
        for i, name in enumerate(names)
    }


def scores_table(scores: dict[str, dict[str, float]]) -> str:
    """Format what `class_scores` gives."""
    table = PrettyTable(['Class', 'IoU', 'Precision', 'Recall'])
    table.align = 'r'
    table.align['Class'] = 'l'
    for name, values in scores.items():
        table.add_row([name, *(f'{value:.2f}' for value in values.values())])
    return str(table.get_string())


def summary_table(summary: dict[str, Any]) -> str:
    """Format the figures of every class of an evaluation.

    Args:
        summary: Of `evaluate_masks`.
    """
    if 'classes' not in summary:
        title = f'per class at background threshold {summary["best_threshold"]:.2f}\n'
        return title + scores_table(summary['best_classes'])
    title = ''
    if 'threshold' in summary:
        title = f'per class at background threshold {summary["threshold"]:.2f}\n'
    return title + scores_table(summary['classes'])


def summarize(
    confusion: npt.NDArray[Any] | None,
    names: Sequence[str],
    *,
    threshold: float | None = None,
    curve: Sequence[dict[str, float]] | None = None,
) -> dict[str, Any]:
    """Collect all figures of one evaluation, ready for JSON.

    Args:
        confusion: Counts at the fixed threshold or of the masks, shape (K, K);
            None when only the curve was asked for.
        names: The K class names.
        threshold: The fixed background threshold that `confusion` was counted at.
        curve: Points of `score_curve`; adds `mIoU_best` and `best_threshold`,
            which look at ground truth.

    Returns:
        Scores, `classes` with the scores of each class in percent, and the curve.
    """
    summary: dict[str, Any] = {}
    if confusion is not None:
        summary.update(score_confusion(confusion))
        if threshold is not None:
            summary['threshold'] = threshold
    if curve is not None:
        best = best_point(curve)
        summary['mIoU_best'] = best['mIoU']
        summary['best_threshold'] = best['threshold']
    if confusion is not None:
        summary['classes'] = class_scores(confusion, names)
        summary['pixels'] = int(np.sum(confusion))
    if curve is not None:
        summary['curve'] = [dict(point) for point in curve]
    return summary


def format_figures(summary: dict[str, Any]) -> str:
    """Write the figures of an evaluation as lines that people read.

    Args:
        summary: Of `summarize`, with the number of `images`.
    """
    lines = [f'images      {summary["images"]}']
    if 'mIoU' in summary:
        at = f' at threshold {summary["threshold"]}' if 'threshold' in summary else ''
        if 'threshold_chosen' in summary:
            at += f' (chosen {summary["threshold_chosen"]})'
        lines.append(f'mIoU        {summary["mIoU"]:.2f} %{at}')
        for key, meaning in (('mFN', 'missed'), ('mFP', 'wrong')):
            ratio = _ratio(summary[key], summary['classes'])
            lines.append(f'{key}         {ratio:<8} ({meaning} pixels per pixel found)')
    if 'curve' in summary:
        lines.append(
            f'best mIoU   {summary["mIoU_best"]:.2f} % at threshold '
            f'{summary["best_threshold"]:.2f} (chosen with ground truth)'
        )
    return '\n'.join(lines)


def plain_figures(summary: dict[str, Any]) -> dict[str, Any]:
    """Put None where a ratio has no meaning: a class is never found.

    The reference adds 1e-10 to divisors, which makes such ratios huge.
    """
    plain = dict(summary)
    for key in ('mFN', 'mFP'):
        if plain.get(key) is not None and plain[key] >= NO_RATIO:
            plain[key] = None
    if 'curve' in plain:
        plain['curve'] = [plain_figures(point) for point in plain['curve']]
    return plain


def _ratio(value: float, classes: dict[str, dict[str, float]]) -> str:
    """Show a mean ratio, or which classes leave it without a meaning.

    A class that is never hit adds its pixels over 1e-10, as in the reference.
    """
    lost = [name for name, scores in list(classes.items())[1:] if not scores['IoU']]
    if value < NO_RATIO or not lost:
        return f'{value:.4g}'
    return f'no figure: not a pixel is right of {", ".join(lost)}'


def write_json(path: str | Path, summary: dict[str, Any]) -> None:
    """Write a summary as JSON, whole or not at all; ratios without meaning are null."""
    text = json.dumps(plain_figures(summary), indent=2, allow_nan=False) + '\n'
    with atomic_write(path) as temporary:
        Path(temporary).write_text(text, encoding='utf-8')
