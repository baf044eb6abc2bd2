"""Microsoft COCO: its classes, its image-tag dataset, and its instance annotations.

Reference:
    Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wsss_mm.datasets import synth_voc
from wsss_mm.datasets.image_label_dataset import (
    BACKGROUND,
    ImageLabelDataset,
    check_stems,
)
from wsss_mm.functional.rasterize import decode_rle, fill_polygon
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.json_text import read_object
from wsss_mm.io.limits import MOST_COCO_BYTES, MOST_PIXELS
from wsss_mm.io.mask_file import IGNORE
from wsss_mm.io.wording import brief, first_line
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError

KIND = 'a file of annotations'
# Outlines times pixels.
MOST_WORK = 2**30
# In the order of COCO's category numbers, which have gaps.
CLASSES = (
    BACKGROUND,
    *('person', 'bicycle', 'car', 'motorcycle', 'airplane', 'bus', 'train', 'truck'),
    *('boat', 'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench'),
    *('bird', 'cat', 'dog', 'horse', 'sheep', 'cow', 'elephant', 'bear', 'zebra'),
    *('giraffe', 'backpack', 'umbrella', 'handbag', 'tie', 'suitcase', 'frisbee'),
    *('skis', 'snowboard', 'sports ball', 'kite', 'baseball bat', 'baseball glove'),
    *('skateboard', 'surfboard', 'tennis racket', 'bottle', 'wine glass', 'cup'),
    *('fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange'),
    *('broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'chair', 'couch'),
    *('potted plant', 'bed', 'dining table', 'toilet', 'tv', 'laptop', 'mouse'),
    *('remote', 'keyboard', 'cell phone', 'microwave', 'oven', 'toaster', 'sink'),
    *('refrigerator', 'book', 'clock', 'vase', 'scissors', 'teddy bear'),
    *('hair drier', 'toothbrush'),
)


@DATASETS.register_module()
class COCOImageLabelDataset(ImageLabelDataset):
    """COCO with the tags and lists that `tools/dataset_converters/coco14.py` writes."""

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=CLASSES, palette=synth_voc.voc_palette(len(CLASSES))
    )

    def __init__(
        self,
        ann_file: str = '',
        *,
        tags: str | None = 'image_labels.csv',
        **kwargs: Any,
    ) -> None:
        super().__init__(ann_file, tags=tags, **kwargs)


@dataclass(frozen=True)
class AnnotatedImage:
    """One image and its objects.

    Attributes:
        name: File name.
        size: Height and width.
        objects: The annotations as they stand in the file.
        names: The class of every object.
    """

    name: str
    size: tuple[int, int]
    objects: tuple[Mapping[str, Any], ...]
    names: tuple[str, ...]


def read_instances(path: str | Path, classes: Sequence[str]) -> list[AnnotatedImage]:
    """Read COCO's instance annotations.

    Args:
        path: JSON file with `images`, `annotations` and `categories`.
        classes: Foreground class names; categories go by their name.

    Returns:
        The images with one annotation or more, sorted by name.

    Raises:
        ValueError: If the file is missing or malformed, or a category is not a class.
    """
    content = read_annotations(Path(path))
    try:
        names = by_id(content['categories'], 'name')
        images = by_id(content['images'], 'file_name')
        objects: dict[int, list[Mapping[str, Any]]] = {}
        for entry in content['annotations']:
            objects.setdefault(entry['image_id'], []).append(entry)
        unknown = sorted({entry['name'] for entry in names.values()} - set(classes))
        if unknown:
            raise InputError(
                f'{path}: the category {brief(unknown[0])} is none of the '
                f'{len(classes)} classes; give the annotations of this dataset'
            )
        found = [
            AnnotatedImage(
                name=normalise_id(images[key]['file_name'], where=path),
                size=read_size(path, images[key]),
                objects=tuple(entries),
                names=tuple(names[entry['category_id']]['name'] for entry in entries),
            )
            for key, entries in objects.items()
        ]
    except (KeyError, TypeError) as error:
        raise InputError(
            f'{path} is not a file of instance annotations (it fails at '
            f'{first_line(error)}); give instances_*.json, not captions_*.json or '
            'person_keypoints_*.json'
        ) from error
    # Results of images are kept under their names.
    check_stems({image.name: image.name for image in found}, source=path)
    twice = [
        name for name, count in Counter(i.name for i in found).items() if count > 1
    ]
    if twice:
        raise InputError(
            f'{path}: two images have the name {twice[0]!r}; get the annotations again'
        )
    return sorted(found, key=lambda image: image.name)


def by_id(entries: Any, name: str) -> dict[int, Mapping[str, Any]]:
    """Sort entries by their number; refuse one without a name, or a number twice."""
    found: dict[int, Mapping[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry[name], str):
            raise TypeError(f'{name} {brief(entry[name])}')
        if entry['id'] in found:
            raise TypeError(f'id {brief(entry["id"])}, which occurs twice')
        found[entry['id']] = entry
    return found


def read_size(path: str | Path, image: Mapping[str, Any]) -> tuple[int, int]:
    """Read an image's height and width, before anything of that size is made."""
    size = (image['height'], image['width'])
    # JPEG has no longer sides.
    sane = all(type(side) is int and 0 < side < 2**16 for side in size)
    if not sane or size[0] * size[1] > MOST_PIXELS:
        raise InputError(
            f'{path}: the image {brief(image["file_name"])} cannot have the size '
            f'{brief(size)} (height, width); get the annotations again'
        )
    return size


def read_annotations(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; the text is not kept."""
    try:
        return read_object(path, kind=KIND, most=MOST_COCO_BYTES, deepest=None)
    except FileNotFoundError as error:
        raise InputError(
            f'no annotations {path}; unpack annotations_trainval2014.zip of '
            'https://cocodataset.org/#download there'
        ) from error
    except InputError as error:
        raise InputError(
            f'cannot read annotations: {error}; it is cut off or no JSON object, get '
            'instances_*.json again'
        ) from error


def draw_instances(image: AnnotatedImage, classes: Sequence[str]) -> NDArray[np.uint8]:
    """Paint the objects of an image into a mask.

    Where objects overlap the one with fewer pixels is on top. Crowds are 255, below
    every object.

    Args:
        image: The image.
        classes: Foreground class names.

    Returns:
        Class indices with 0 for background, shape (H, W).

    Raises:
        ValueError: If the outline of an object is malformed.

    Note:
        The field has no common rule for overlaps and crowds; others let the later
        annotation win, or count crowds as their class.
    """
    check_work(image)
    mask = np.zeros(image.size, np.uint8)
    # Of the object on top of each pixel: any crowd is below any object, and the one
    # with more pixels below the other.
    rank = np.full(image.size, np.iinfo(np.int32).min, np.int32)
    for entry, name in zip(image.objects, image.names):
        try:
            inside = draw_object(entry['segmentation'], image.size)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise no_outline(image, entry, first_line(error)) from error
        crowd = bool(entry.get('iscrowd'))
        label = IGNORE if crowd else classes.index(name) + 1
        own = (0 if crowd else MOST_PIXELS + 1) - int(inside.sum())
        inside &= rank <= own
        mask[inside], rank[inside] = label, own
    return mask


def check_work(image: AnnotatedImage) -> None:
    """Refuse outlines that would take minutes to draw; COCO's take a second."""
    outlines = 0
    for entry in image.objects:
        outline = entry.get('segmentation')
        outlines += len(outline) if isinstance(outline, list) else 1
    if outlines * image.size[0] * image.size[1] > MOST_WORK:
        height, width = image.size
        raise InputError(
            f'{image.name}: {outlines} outlines in {width}x{height} pixels are more '
            'than are drawn; get the annotations again'
        )


def no_outline(
    image: AnnotatedImage, entry: Mapping[str, Any], reason: str
) -> InputError:
    """Say which annotation cannot be drawn."""
    return InputError(
        f'{image.name}: annotation {brief(entry.get("id"))} has no outline that can '
        f'be drawn ({reason}); get the annotations again'
    )


def draw_object(segmentation: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw the outline of one object: a list of polygons, or run lengths."""
    if isinstance(segmentation, dict):
        if tuple(segmentation['size']) != size:
            raise InputError(
                f'its run lengths are for {brief(segmentation["size"])}, the image is '
                f'{list(size)} (height, width)'
            )
        return decode_rle(segmentation['counts'], size)
    inside = np.zeros(size, bool)
    for polygon in corners(segmentation):
        inside |= fill_polygon(polygon, size)
    return inside


def corners(segmentation: Sequence[Sequence[float]]) -> Iterator[NDArray[np.float64]]:
    """Turn COCO's flat lists x, y, x, y, ... into corners, shape (n, 2)."""
    for flat in segmentation:
        if len(flat) % 2:
            raise InputError(f'a polygon has {len(flat)} numbers, an odd count')
        yield np.asarray(flat, dtype=np.float64).reshape(-1, 2)
