"""Photographs and what is laid over them, as small JPEG and PNG files.

A page lays a transparent PNG over the photograph, so that a photograph is kept once
and the layers, with few colours each, take a few kilobytes.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsss_mm.utils.errors import InputError

from .panels import IGNORE, heat_colours

Picture = npt.NDArray[np.uint8]

SIDE = 400
_FILL, _IGNORED_ALPHA = 120, 150
_WHITE, _GREY = (255, 255, 255), (190, 190, 190)
_LEVELS = 24


def shown_size(height: int, width: int, *, side: int = SIDE) -> tuple[int, int]:
    """Give height and width of a thumbnail, never larger than the image.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        side: Longest side of the thumbnail.
    """
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def photograph(image: Picture, *, side: int = SIDE) -> bytes:
    """Encode an image as a JPEG thumbnail.

    Args:
        image: RGB values, shape (H, W, 3).
        side: Longest side, in pixels.

    Raises:
        InputError: If `image` is not a uint8 RGB array.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f'a picture must be uint8 of shape (H, W, 3), got {image.dtype} of '
            f'shape {image.shape}'
        )
    height, width = shown_size(*image.shape[:2], side=side)
    picture = Image.fromarray(image)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format='JPEG', quality=82, optimize=True)
    return buffer.getvalue()


def mask_layer(
    mask: npt.NDArray[Any], colours: Sequence[Sequence[int]], *, side: int = SIDE
) -> bytes:
    """Draw a mask as a transparent PNG: fill, outline and a white line around it.

    The white line shows on dark photographs, the outline, whose colour is dark enough,
    on light ones. The background stays clear, ignored pixels become grey.

    Args:
        mask: Class indices, 255 for ignored pixels, shape (H, W).
        colours: RGB colour of each class, background first.
        side: Longest side of the PNG, in pixels.

    Raises:
        InputError: If an index has no colour.
    """
    mask = np.asarray(mask)
    known = mask[mask != IGNORE]
    if known.size and (known.min() < 0 or known.max() >= len(colours)):
        raise InputError(
            f'the mask holds indices {known.min()}..{known.max()}, the key '
            f'{len(colours)} colours'
        )
    height, width = shown_size(*mask.shape, side=side)
    small = Image.fromarray(mask.astype(np.uint8)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    labels = np.asarray(small)
    present = [int(label) for label in np.unique(labels) if label not in (0, IGNORE)]
    # Entries of the palette: clear, white, grey, then fill and outline of each class.
    palette = [(*_WHITE, 0), (*_WHITE, 255), (*_GREY, _IGNORED_ALPHA)]
    drawn = np.zeros(labels.shape, dtype=np.uint8)
    drawn[labels == IGNORE] = 2
    thickness = 1 + max(height, width) // 250
    for label in present:
        inside = labels == label
        core = _shrink(inside, thickness)
        drawn[inside & core] = len(palette)
        drawn[inside & ~core] = len(palette) + 1
        red, green, blue = colours[label]
        palette += [(red, green, blue, _FILL), (red, green, blue, 255)]
    foreground = (labels != 0) & (labels != IGNORE)
    drawn[~_shrink(~foreground, 1) & ~foreground] = 1
    return _palette_png(drawn, palette)


def cam_layer(
    cam: npt.NDArray[Any], *, threshold: float | None = None, side: int = SIDE
) -> bytes:
    """Draw one CAM as a transparent PNG of heat.

    Args:
        cam: Normalised map, shape (H, W); values are clipped to [0, 1].
        threshold: Where a white line is drawn: the score of the background.
        side: Longest side of the PNG, in pixels.
    """
    heat = np.clip(np.nan_to_num(np.asarray(cam, dtype=np.float32)), 0, 1)
    height, width = shown_size(*heat.shape, side=side)
    small = Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR)
    heat = np.asarray(small)
    steps = np.linspace(0, 1, _LEVELS)
    colours = np.rint(heat_colours(steps)).astype(int)
    alphas = np.rint(255 * np.minimum(0.85, 0.15 + steps)).astype(int)
    palette = [
        (int(red), int(green), int(blue), int(alpha))
        for (red, green, blue), alpha in zip(colours, alphas)
    ]
    drawn = np.rint(heat * (_LEVELS - 1)).astype(np.uint8)
    if threshold is not None:
        above = heat > threshold
        drawn[above & ~_shrink(above, 1)] = len(palette)
        palette.append((*_WHITE, 255))
    return _palette_png(drawn, palette)


def _shrink(inside: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.bool_]:
    """Take away the pixels at the border of a region; the image's edge is none."""
    for _ in range(steps):
        padded = np.pad(inside, 1, mode='edge')
        inside = (
            inside
            & padded[:-2, 1:-1]
            & padded[2:, 1:-1]
            & padded[1:-1, :-2]
            & padded[1:-1, 2:]
        )
    return inside


def _palette_png(
    indices: npt.NDArray[np.uint8], palette: Sequence[tuple[int, int, int, int]]
) -> bytes:
    picture = Image.fromarray(indices, mode='P')
    picture.putpalette([part for colour in palette for part in colour[:3]])
    buffer = io.BytesIO()
    alphas = bytes(colour[3] for colour in palette)
    picture.save(buffer, format='PNG', optimize=True, transparency=alphas)
    return buffer.getvalue()
