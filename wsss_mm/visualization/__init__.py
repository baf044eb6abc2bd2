"""Pictures of CAMs and masks, the threshold curve and the report."""

from .colours import contrast_ratio, key_colours, relative_luminance
from .curve import draw_curve, save_curve
from .gallery import GalleryImage, ImageFiles, Impression, Layer, draw_image, look_at
from .gallery_page import Gallery
from .html_report import Finding, Report, write_report
from .layers import cam_layer, mask_layer, photograph
from .panels import draw_cam, draw_mask, draw_tags, side_by_side

__all__ = [
    'Finding',
    'Gallery',
    'GalleryImage',
    'ImageFiles',
    'Impression',
    'Layer',
    'Report',
    'cam_layer',
    'contrast_ratio',
    'draw_cam',
    'draw_curve',
    'draw_image',
    'draw_mask',
    'draw_tags',
    'key_colours',
    'look_at',
    'mask_layer',
    'photograph',
    'relative_luminance',
    'save_curve',
    'side_by_side',
    'write_report',
]
