"""Panels: an image with its tags, a CAM or a mask, as arrays to look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from wsss_mm.utils.errors import InputError

Picture = npt.NDArray[np.uint8]

IGNORE = 255
BORDER = (224, 224, 192)  # how VOC's palette shows its ignored borders

# Anchors of the heat colours, from cold to hot; read off between them.
_HEAT = np.array(
    [
        [0, 0, 96],
        [0, 64, 255],
        [0, 208, 208],
        [128, 232, 80],
        [255, 208, 0],
        [255, 64, 0],
        [128, 0, 0],
    ],
    dtype=np.float64,
)


def draw_tags(image: Picture, tags: Sequence[str]) -> Picture:
    """Write the tag names into the upper left corner of an image.

    Args:
        image: RGB values, shape (H, W, 3).
        tags: Names, one line each; those below the image's edge are cut off.

    Returns:
        A new picture of the same shape.

    Raises:
        ValueError: If `image` is not a uint8 RGB array.
    """
    _check_image(image)
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=min(max(image.shape[0] // 16, 10), 24))
    top = 2
    for tag in tags:
        left, upper, right, lower = draw.textbbox((5, top + 2), tag, font=font)
        draw.rectangle((2, upper - 2, right + 3, lower + 2), fill=(20, 20, 20))
        draw.text((5, top + 2), tag, font=font, fill=(255, 255, 255))
        top = int(lower) + 4
    return np.asarray(picture)


def draw_cam(image: Picture, cam: npt.NDArray[Any], *, alpha: float = 0.6) -> Picture:
    """Lay a CAM over an image as heat.

    Args:
        image: RGB values, shape (H, W, 3).
        cam: One normalised map, shape (H, W), or several, shape (n, H, W), of
            which the strongest is shown; values are clipped to [0, 1].
        alpha: Weight of the heat where the CAM is 1; it is half of that at 0.

    Returns:
        A new picture of the same shape.

    Raises:
        ValueError: If image and CAM differ in size.
    """
    _check_image(image)
    cam = np.asarray(cam, dtype=np.float64)
    if cam.ndim == 3:
        cam = cam.max(axis=0) if len(cam) else np.zeros(cam.shape[1:])
    _check_size('CAM', cam, image)
    heat = np.clip(np.nan_to_num(cam), 0, 1)
    colours = heat_colours(heat)
    weight = alpha * (0.5 + 0.5 * heat[..., None])
    return _to_picture((1 - weight) * image + weight * colours)


def heat_colours(heat: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Give the colour of each value of a CAM.

    Args:
        heat: Values in [0, 1], any shape.

    Returns:
        RGB values in 0..255, in a last dimension of 3.
    """
    position = heat.ravel() * (len(_HEAT) - 1)
    anchors = np.arange(len(_HEAT))
    return np.stack(
        [np.interp(position, anchors, channel) for channel in _HEAT.T], axis=-1
    ).reshape(*heat.shape, 3)


def draw_mask(
    image: Picture,
    mask: npt.NDArray[Any],
    palette: Sequence[Sequence[int]],
    *,
    alpha: float = 0.7,
) -> Picture:
    """Lay a mask over an image in the colours of its palette.

    Args:
        image: RGB values, shape (H, W, 3).
        mask: Class indices, 255 for ignored pixels, shape (H, W).
        palette: RGB colour of each class, background first.
        alpha: Weight of the colours; the background gets half of it.

    Returns:
        A new picture of the same shape.

    Raises:
        ValueError: If image and mask differ in size, or an index has no colour.
    """
    _check_image(image)
    mask = np.asarray(mask)
    _check_size('mask', mask, image)
    known = mask[mask != IGNORE]
    if known.size and (known.min() < 0 or known.max() >= len(palette)):
        raise InputError(
            f'the mask holds indices {known.min()}..{known.max()}, the palette '
            f'{len(palette)} colours'
        )
    colours = np.zeros((IGNORE + 1, 3))
    colours[: len(palette)] = palette
    colours[IGNORE] = BORDER
    weight = np.where(mask == 0, alpha / 2, alpha)[..., None]
    return _to_picture((1 - weight) * image + weight * colours[mask])


def side_by_side(
    pictures: Sequence[Picture], *, height: int | None = None, gap: int = 4
) -> Picture:
    """Put pictures in a row, scaled to one height, with white between them.

    Args:
        pictures: RGB arrays, shape (H, W, 3), of any sizes.
        height: Height of the row in pixels; that of the first picture if None.
        gap: White pixels between neighbours.

    Returns:
        One picture.

    Raises:
        ValueError: If there is no picture.
    """
    if not pictures:
        raise InputError('a row needs at least one picture')
    for picture in pictures:
        _check_image(picture)
    height = height or pictures[0].shape[0]
    scaled = [_scale_to_height(picture, height) for picture in pictures]
    white = np.full((height, gap, 3), 255, dtype=np.uint8)
    row: list[Picture] = []
    for picture in scaled:
        row += [white, picture] if row else [picture]
    return np.concatenate(row, axis=1)


def _scale_to_height(picture: Picture, height: int) -> Picture:
    if picture.shape[0] == height:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    resized = Image.fromarray(picture).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(resized)


def _to_picture(values: npt.NDArray[Any]) -> Picture:
    picture: Picture = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return picture


def _check_image(image: npt.NDArray[Any]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f'an image must be uint8 of shape (H, W, 3), got {image.dtype} of shape '
            f'{image.shape}'
        )


def _check_size(name: str, array: npt.NDArray[Any], image: Picture) -> None:
    if array.shape != image.shape[:2]:
        raise InputError(
            f'{name} and image must have one size, got {array.shape} and '
            f'{image.shape[:2]}'
        )
