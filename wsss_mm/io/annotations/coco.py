"""Masks as COCO annotations of objects: one of each class and image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsss_mm.functional.outline import encode_rle, keyholed_outlines
from wsss_mm.functional.rasterize import decode_rle, fill_polygon
from wsss_mm.io.annotations.names import (
    AnnotatedMask,
    Mask,
    blank_mask,
    label_of,
    value_of,
    without_extension,
)
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.json_text import read_object
from wsss_mm.io.limits import MOST_COCO_BYTES
from wsss_mm.io.mask_file import IGNORE
from wsss_mm.utils.errors import InputError


class COCOWriter:
    """Gather masks into one COCO file.

    Args:
        class_names: Names of the K classes, background first, which has no category.
        polygons: Whether to outline regions; else COCO's run lengths.
    """

    def __init__(self, class_names: Sequence[str], *, polygons: bool) -> None:
        self.class_names = class_names
        self.polygons = polygons
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, image: str, mask: Mask) -> None:
        """Add the mask of an image.

        Args:
            image: Its path, with extension.
            mask: Class indices, uint8 (H, W).
        """
        number = len(self.images) + 1
        height, width = mask.shape
        self.images.append(dict(id=number, file_name=image, height=height, width=width))
        for value in np.unique(mask[mask > 0]).tolist():
            inside = mask == value
            rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
            top, left = int(rows[0]), int(columns[0])
            box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
            annotation = dict(
                id=len(self.annotations) + 1,
                image_id=number,
                category_id=value,
                segmentation=self.segmentation(inside),
                area=int(inside.sum()),
                bbox=box,
                iscrowd=0,
            )
            self.annotations.append(annotation)

    def segmentation(self, inside: npt.NDArray[np.bool_]) -> Any:
        """Write the pixels of a class."""
        if self.polygons:
            return [one.reshape(-1).tolist() for one in keyholed_outlines(inside)]
        return dict(size=list(inside.shape), counts=encode_rle(inside))

    def save(self, path: str | Path) -> None:
        """Write the file.

        Raises:
            InputError: If it cannot be written.
        """
        used = {one['category_id'] for one in self.annotations}
        values = [*range(1, len(self.class_names)), *({IGNORE} & used)]
        content = dict(
            info=dict(description='masks of wsss_mm'),
            images=self.images,
            annotations=self.annotations,
            categories=[
                dict(id=value, name=label_of(value, self.class_names), supercategory='')
                for value in values
            ],
        )
        with atomic_write(path) as part:
            part.write_text(json.dumps(content), encoding='utf-8')


def read_coco_masks(
    path: str | Path, class_names: Sequence[str]
) -> Iterator[AnnotatedMask]:
    """Read the masks of all images of a COCO file; those without objects are empty.

    Where objects overlap the one with fewer pixels is on top; crowds are ignored.

    Args:
        path: The file, with run lengths or polygons.
        class_names: Names of the K classes, background first; categories go by name.

    Raises:
        InputError: If it is not such a file, or a category is not a class.
    """
    try:
        content = read_object(path, kind='COCO annotations', most=MOST_COCO_BYTES)
    except FileNotFoundError as error:
        raise InputError(f'no annotations {path}; give the exported file') from error
    try:
        names = {one['id']: str(one['name']) for one in content['categories']}
        objects: dict[Any, list[Mapping[str, Any]]] = {}
        for one in content['annotations']:
            objects.setdefault(one['image_id'], []).append(one)
        for image in content['images']:
            where = f'{path}: image {image["file_name"]!r}'
            mask = blank_mask(image['height'], image['width'], where=where)
            layers = []
            for one in objects.get(image['id'], []):
                value = value_of(names[one['category_id']], class_names, where=where)
                inside = draw_object(one['segmentation'], mask.shape, where=where)
                value = IGNORE if one.get('iscrowd') else value
                layers.append((-int(inside.sum()), value, inside))
            for _, value, inside in sorted(layers, key=lambda layer: layer[0]):
                mask[inside] = value
            name = without_extension(str(image['file_name']))
            yield AnnotatedMask(normalise_id(name, where=where), mask)
    except (KeyError, TypeError) as error:
        raise InputError(
            f'{path}: no COCO annotations of objects with outlines (it fails at '
            f'{error}); export instances, with segmentation'
        ) from error


def draw_object(
    segmentation: Any, size: tuple[int, int], *, where: object
) -> npt.NDArray[np.bool_]:
    """Draw one object: a list of polygons, or run lengths."""
    try:
        if isinstance(segmentation, dict):
            return decode_rle(segmentation['counts'], size)
        inside = np.zeros(size, bool)
        for polygon in segmentation:
            inside |= fill_polygon(np.reshape(polygon, (-1, 2)), size)
    except ValueError as error:
        raise InputError(
            f'{where}: an outline that cannot be drawn: {error}; correct or remove it'
        ) from error
    return inside
