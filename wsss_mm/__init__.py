"""Weakly-supervised semantic segmentation on MMSegmentation."""

__version__ = '0.1.0'
