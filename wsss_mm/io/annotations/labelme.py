"""Masks as labelme files: one an image, polygons painted in their order."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsss_mm.functional.outline import layered_regions
from wsss_mm.io.annotations.names import (
    AnnotatedMask,
    Mask,
    blank_mask,
    draw_polygon,
    label_of,
    value_of,
)
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.json_text import read_object
from wsss_mm.io.limits import MOST_COCO_BYTES
from wsss_mm.utils.errors import InputError

VERSION = '5.0.1'
CIRCLE_CORNERS = 64


def write_labelme(
    path: str | Path,
    mask: Mask,
    *,
    image: str | Path,
    class_names: Sequence[str],
) -> None:
    """Write a mask as a labelme file.

    Args:
        path: File to write, ending in ``.json``.
        mask: Class indices, uint8 (H, W).
        image: File of the image, which labelme opens.
        class_names: Names of the K classes, background first.

    Raises:
        InputError: If it cannot be written.
    """
    path = Path(path)
    shapes = [
        dict(
            label=label_of(region.value, class_names),
            points=region.corners.tolist(),
            group_id=None,
            shape_type='polygon',
            flags={},
        )
        for region in layered_regions(mask)
    ]
    content = dict(
        version=VERSION,
        flags={},
        shapes=shapes,
        imagePath=Path(os.path.relpath(image, path.parent)).as_posix(),
        imageData=None,
        imageHeight=mask.shape[0],
        imageWidth=mask.shape[1],
    )
    with atomic_write(path) as part:
        part.write_text(json.dumps(content, indent=1), encoding='utf-8')


def read_labelme_masks(
    folder: str | Path, class_names: Sequence[str]
) -> Iterator[AnnotatedMask]:
    """Read the masks of a folder of labelme files, and of its sub-folders.

    Later shapes are on top of earlier ones; images are called as their files.

    Args:
        folder: Of the files.
        class_names: Names of the K classes, background first.

    Raises:
        InputError: If there is none, or a file or label of it is not as expected.
    """
    folder = Path(folder)
    files = sorted(folder.rglob('*.json'))
    if not files:
        raise InputError(f'{folder}: no labelme file (.json) in this folder')
    for path in files:
        content = read_object(path, kind='a labelme file', most=MOST_COCO_BYTES)
        try:
            mask = blank_mask(content['imageHeight'], content['imageWidth'], where=path)
            for shape in content['shapes']:
                value = value_of(str(shape['label']), class_names, where=path)
                draw_polygon(mask, corners_of(shape, path), value, where=path)
        except (KeyError, TypeError) as error:
            raise InputError(
                f'{path}: no labelme file (it fails at {error}); save it with labelme'
            ) from error
        name = path.relative_to(folder).with_suffix('').as_posix()
        yield AnnotatedMask(normalise_id(name, where=path), mask)


def corners_of(shape: dict[str, Any], path: Path) -> Any:
    """Give the corners of a shape that has an inside."""
    kind, points = shape.get('shape_type', 'polygon'), shape['points']
    if kind == 'polygon':
        return points
    if kind == 'rectangle' and len(points) == 2:
        (left, top), (right, bottom) = points
        return [[left, top], [right, top], [right, bottom], [left, bottom]]
    if kind == 'circle' and len(points) == 2:
        centre, rim = np.asarray(points, np.float64)
        angle = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
        around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return centre + np.linalg.norm(rim - centre) * around
    raise InputError(
        f'{path}: a shape of the kind {kind!r} has no inside; draw a polygon instead'
    )
