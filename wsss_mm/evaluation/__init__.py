"""Evaluation: registered metrics and the summaries they share with the tools."""

from .metrics import TagMAPMetric, VOCIoUMetric
from .summary import (
    THRESHOLDS,
    best_point,
    class_scores,
    class_table,
    format_figures,
    score_confusion,
    score_curve,
    summarize,
    summary_table,
    write_json,
)

__all__ = [
    'THRESHOLDS',
    'TagMAPMetric',
    'VOCIoUMetric',
    'best_point',
    'class_scores',
    'class_table',
    'format_figures',
    'score_confusion',
    'score_curve',
    'summarize',
    'summary_table',
    'write_json',
]
