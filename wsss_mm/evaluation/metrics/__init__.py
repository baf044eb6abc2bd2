"""Metrics for the METRICS registry."""

from .tag_map_metric import TagMAPMetric
from .voc_iou_metric import VOCIoUMetric

__all__ = ['TagMAPMetric', 'VOCIoUMetric']
