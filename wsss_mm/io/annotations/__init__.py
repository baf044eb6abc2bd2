"""Masks as annotations that a person can correct, and back: COCO, labelme, CVAT.

Outlines run along the sides of pixels; a pixel belongs to a shape if its centre does.
What is written gives the same mask when it is read.
"""

from wsss_mm.io.annotations.coco import COCOWriter, read_coco_masks
from wsss_mm.io.annotations.cvat import CVATWriter, read_cvat_masks
from wsss_mm.io.annotations.labelme import read_labelme_masks, write_labelme
from wsss_mm.io.annotations.names import AnnotatedMask

__all__ = [
    'AnnotatedMask',
    'COCOWriter',
    'CVATWriter',
    'read_coco_masks',
    'read_cvat_masks',
    'read_labelme_masks',
    'write_labelme',
]
