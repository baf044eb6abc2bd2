"""Masks as CVAT for images 1.1: polygons, painted in the order of ``z_order``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsss_mm.functional.outline import layered_regions
from wsss_mm.io.annotations.names import (
    BACKGROUND,
    IGNORED,
    AnnotatedMask,
    Mask,
    blank_mask,
    draw_polygon,
    label_of,
    value_of,
    without_extension,
)
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.limits import MOST_COCO_BYTES
from wsss_mm.io.safe_xml import parse_xml
from wsss_mm.utils.errors import InputError

# An image's tag is not a shape.
WITHOUT_SHAPE = 'tag'


class CVATWriter:
    """Gather masks into one file that CVAT imports.

    Its labels must exist in the task: those of the classes, and for holes and pixels to
    ignore ``_background_`` and ``__ignore__``.

    Args:
        class_names: Names of the K classes, background first.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = class_names
        self.root = ElementTree.Element('annotations')
        ElementTree.SubElement(self.root, 'version').text = '1.1'
        meta = ElementTree.SubElement(self.root, 'meta')
        task = ElementTree.SubElement(meta, 'task')
        labels = ElementTree.SubElement(task, 'labels')
        for name in (*class_names[1:], BACKGROUND, IGNORED):
            label = ElementTree.SubElement(labels, 'label')
            ElementTree.SubElement(label, 'name').text = name
            ElementTree.SubElement(label, 'attributes')
        self.count = 0

    def add(self, image: str, mask: Mask) -> None:
        """Add the mask of an image.

        Args:
            image: Its path, with extension.
            mask: Class indices, uint8 (H, W).
        """
        height, width = map(str, mask.shape)
        node = ElementTree.SubElement(
            self.root,
            'image',
            dict(id=str(self.count), name=image, width=width, height=height),
        )
        self.count += 1
        for order, region in enumerate(layered_regions(mask)):
            points = ';'.join(f'{x}.00,{y}.00' for x, y in region.corners.tolist())
            label = label_of(region.value, self.class_names)
            ElementTree.SubElement(
                node,
                'polygon',
                dict(
                    label=label,
                    source='auto',
                    occluded='0',
                    points=points,
                    z_order=str(order),
                ),
            )

    def save(self, path: str | Path) -> None:
        """Write the file.

        Raises:
            InputError: If it cannot be written.
        """
        ElementTree.indent(self.root)
        with atomic_write(path) as part:
            tree = ElementTree.ElementTree(self.root)
            tree.write(part, encoding='utf-8', xml_declaration=True)


def read_cvat_masks(
    path: str | Path, class_names: Sequence[str]
) -> Iterator[AnnotatedMask]:
    """Read the masks of all images of a file of CVAT for images 1.1.

    Args:
        path: The file.
        class_names: Names of the K classes, background first.

    Raises:
        InputError: If it is not such a file, or a label or shape is not as expected.
    """
    path = Path(path)
    root = parse_xml(path, most=MOST_COCO_BYTES)
    images = root.findall('image')
    if not images:
        raise InputError(f'{path}: names no image; export CVAT for images 1.1')
    for image in images:
        where = f'{path}: image {image.get("name")!r}'
        mask = blank_mask(image.get('height'), image.get('width'), where=where)
        shapes = [one for one in image if one.tag != WITHOUT_SHAPE]
        for shape in sorted(shapes, key=lambda one: int(one.get('z_order') or 0)):
            value = value_of(shape.get('label', ''), class_names, where=where)
            draw_shape(mask, shape, value, where=where)
        name = without_extension(image.get('name', ''))
        yield AnnotatedMask(normalise_id(name, where=where), mask)


def draw_shape(
    mask: Mask, shape: ElementTree.Element, value: int, *, where: str
) -> None:
    """Draw a polygon, a box or a mask of CVAT, in place."""
    try:
        if shape.tag == 'polygon':
            pairs = shape.get('points', '').split(';')
            corners = [[float(one) for one in pair.split(',')] for pair in pairs]
            draw_polygon(mask, corners, value, where=where)
        elif shape.tag == 'box':
            left, top, right, bottom = (
                float(shape.get(key, '')) for key in ('xtl', 'ytl', 'xbr', 'ybr')
            )
            corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
            draw_polygon(mask, corners, value, where=where)
        elif shape.tag == 'mask':
            draw_runs(mask, shape, value)
        else:
            raise InputError(
                f'{where}: a shape of the kind {shape.tag!r} has no inside that is '
                'read; draw a polygon or a mask instead'
            )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f'{where}: a {shape.tag} that cannot be drawn ({error}); draw it again'
        ) from error


def draw_runs(mask: Mask, shape: ElementTree.Element, value: int) -> None:
    """Draw a mask of CVAT: runs along the rows of its box, outside first."""
    left, top, width, height = (
        int(shape.get(key, '')) for key in ('left', 'top', 'width', 'height')
    )
    runs = [int(one) for one in shape.get('rle', '').split(',')]
    part = mask[top : top + height, left : left + width]
    if part.shape != (height, width) or min(left, top, *runs) < 0:
        raise ValueError('it leaves the image')
    if sum(runs) != height * width:
        raise ValueError(f'{sum(runs)} pixels in a box of {height * width}')
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    part[inside] = value
