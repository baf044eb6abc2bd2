"""Pictures of CAMs and masks, the threshold curve and the report."""

from .curve import draw_curve, save_curve
from .html_report import write_report
from .panels import draw_cam, draw_mask, draw_tags, side_by_side

__all__ = [
    'draw_cam',
    'draw_curve',
    'draw_mask',
    'draw_tags',
    'save_curve',
    'side_by_side',
    'write_report',
]
