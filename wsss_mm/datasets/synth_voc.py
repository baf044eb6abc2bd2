"""SynthVOC: a small generated dataset in the VOC layout.

The class of an object can be read only from a small part of it; the rest is a
textured body of any colour and shape. A classifier needs no more than the part,
so its plain CAM under-covers the object, as on photographs.

Note:
    A part has a typical paint as well as a figure. Without it a small network from
    scratch needs far longer than a demo may take to learn the classes from tags
    (mean average precision 31 % after ten epochs, against 93 % with it). This eases
    the classification for every method alike.
"""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_mm.datasets.synth_drawing import PARTS, Shape, draw_background, draw_object
from wsss_mm.io.json_text import read_object
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import map_ordered

CLASSES = ('background', *PARTS)
MANIFEST = 'synth_voc.json'
VERSION = 2
IGNORE = 255
JPEG_QUALITY = 95
SMALLEST_SIZE = 64
PREFIX = 'synth_'


def voc_palette(count: int) -> list[list[int]]:
    """Build PASCAL VOC's colour map: the bits of an index spread over R, G, B."""
    return [
        [
            sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
            for channel in range(3)
        ]
        for index in range(count)
    ]


METAINFO = dict(classes=CLASSES, palette=voc_palette(len(CLASSES)))


@dataclass(frozen=True)
class SynthObject:
    """One annotated object.

    Attributes:
        name: Its class.
        box: First and last column and row it is seen in: x0, y0, x1, y1.
        difficult: Whether less than half of it is seen.
    """

    name: str
    box: tuple[int, int, int, int]
    difficult: bool


@dataclass(frozen=True)
class SynthImage:
    """One generated image, shape (H, W, 3), its mask (H, W) and its objects."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    objects: tuple[SynthObject, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the classes in the image, in class order."""
        return tuple(name for name in PARTS if name in {o.name for o in self.objects})


def draw_image(seed: int, index: int, *, size: int = 128) -> SynthImage:
    """Draw image `index` of the dataset of this seed; the same bits every time.

    Args:
        seed: Seed of the dataset.
        index: Which image; every index has its own random stream.
        size: Long side in pixels; the short side is 75 to 100 % of it.
    """
    rng = np.random.default_rng([VERSION, seed, index])
    short = int(rng.integers(round(0.75 * size), size + 1))
    shape = (short, size) if rng.random() < 0.7 else (size, short)
    canvas = draw_background(shape, rng)
    names, shapes = place_objects(canvas, rng)
    instances = np.zeros(shape, np.int64)
    for number, one in enumerate(shapes, start=1):
        canvas = canvas + (one.colour - canvas) * one.coverage[..., None]
        instances[one.coverage >= 0.5] = number
    light = 1 + rng.uniform(0, 0.15) * np.linspace(-1, 1, shape[1])[:, None]
    noise = rng.normal(0, rng.uniform(0, 0.02), canvas.shape)
    image = np.clip((canvas * light + noise) * 255 + 0.5, 0, 255).astype(np.uint8)
    return SynthImage(
        image=image,
        mask=class_mask(instances, names),
        objects=tuple(
            annotate(name, instances == number, one)
            for number, (name, one) in enumerate(zip(names, shapes), start=1)
        ),
    )


def place_objects(
    canvas: NDArray[np.floating], rng: np.random.Generator
) -> tuple[list[str], list[Shape]]:
    """Choose one to three objects, later ones in front, every part in sight."""
    height, width = canvas.shape[:2]
    count = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    names: list[str] = []
    shapes: list[Shape] = []
    for number in range(count):
        repeat = names and rng.random() < 0.2
        name = names[0] if repeat else str(rng.choice(PARTS))
        largest = 0.75 if count == 1 else 0.6
        length = max(height, width) * rng.uniform(0.32, largest)
        for attempt in range(12):
            centre = rng.uniform(0.15, 0.85, 2) * (height, width)
            if number == 0 and attempt == 11:
                centre = np.array([height, width]) / 2
            behind = canvas[int(centre[0]), int(centre[1])]
            shape = draw_object(
                name, (height, width), centre, length, behind=behind, rng=rng
            )
            if fits(shape, shapes):
                names.append(name)
                shapes.append(shape)
                break
            length *= 0.95
    return names, shapes


def fits(shape: Shape, others: Sequence[Shape]) -> bool:
    """Tell whether all parts stay in sight with one more object in front."""
    if shape.part.sum() < 0.9 * shape.part_area:
        return False
    front = shape.coverage >= 0.5
    for number, other in enumerate(others):
        cover = front.copy()
        for between in others[number + 1 :]:
            cover |= between.coverage >= 0.5
        own = other.coverage >= 0.5
        if (other.part & ~cover).sum() < 0.6 * other.part_area:
            return False
        if (own & ~cover).sum() < 0.4 * own.sum():
            return False
    return True


def class_mask(instances: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.uint8]:
    """Turn instance numbers (H, W) into classes with 255 along every outline."""
    lookup = np.array([0, *(CLASSES.index(name) for name in names)], np.uint8)
    mask = lookup[instances]
    down = instances[1:] != instances[:-1]
    right = instances[:, 1:] != instances[:, :-1]
    for edge, first, second in (
        (down, mask[1:], mask[:-1]),
        (right, mask[:, 1:], mask[:, :-1]),
    ):
        first[edge] = IGNORE
        second[edge] = IGNORE
    return mask


def annotate(name: str, visible: NDArray[np.bool_], shape: Shape) -> SynthObject:
    """Describe one object from the pixels (H, W) it is seen in."""
    rows, columns = (np.flatnonzero(visible.any(axis=axis)) for axis in (1, 0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
    return SynthObject(name, box, bool(visible.sum() < 0.5 * shape.whole_area))


def write_synth_voc(
    out: str | Path,
    *,
    train: int,
    val: int,
    seed: int = 0,
    size: int = 128,
    processes: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a dataset in the VOC layout, or leave a finished one as it is.

    The folder is filled under a temporary name beside its place and renamed at
    the end, so an interrupted run leaves nothing that looks finished.

    Args:
        out: Folder to make.
        train: Images of the list `train`; `trainaug` has a third more.
        val: Images of the list `val`.
        seed: Seed of the whole dataset.
        size: Long side of the images in pixels.
        processes: How many draw side by side; None takes one per processor. The
            files do not depend on it.
        report: Called with the images done and their total.

    Raises:
        ValueError: If a number is out of range, or the folder holds something
            other than this dataset, or cannot be written.
    """
    check_numbers(train, val, seed, size)
    if processes is None:
        processes = os.cpu_count() or 1
    if processes < 1:
        raise InputError(f'processes={processes}: give at least one process')
    out = Path(out)
    wanted = dict(version=VERSION, train=train, val=val, seed=seed, size=size)
    if is_finished(out, wanted):
        return out
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f'.{out.name}-', dir=out.parent))
    except OSError as error:
        raise InputError(
            f'cannot write {out}: {error.strerror}; give a folder you may write to'
        ) from error
    try:
        fill_folder(unfinished, wanted, processes, report)
        unfinished.chmod(0o755)
        unfinished.replace(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def check_numbers(train: int, val: int, seed: int, size: int) -> None:
    """Refuse counts, seeds and sizes that no dataset can have."""
    if train < 1 or val < 1:
        raise InputError(f'train={train}, val={val}: give at least one image to each')
    if seed < 0:
        raise InputError(f'seed={seed}: give a seed of 0 or more')
    if size < SMALLEST_SIZE:
        raise InputError(
            f'size={size}: parts are unreadable; give at least {SMALLEST_SIZE}'
        )


def is_finished(out: Path, wanted: dict[str, int]) -> bool:
    """Tell whether `out` already holds this dataset; refuse anything else there."""
    manifest = out / MANIFEST
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not manifest.is_file():
        raise InputError(
            f'{out} is in the way and holds no {MANIFEST}; give a new or empty folder'
        )
    found = read_object(manifest, kind='a manifest')
    if found != wanted:
        raise InputError(
            f'{out} was generated with {found}, not with {wanted}; '
            'give another folder or delete this one'
        )
    return True


def fill_folder(
    folder: Path,
    wanted: dict[str, int],
    processes: int,
    report: Callable[[int, int], None] | None,
) -> None:
    """Generate every file of the dataset, lists and manifest last."""
    for name in ('JPEGImages', 'SegmentationClass', 'Annotations'):
        (folder / name).mkdir()
    (folder / 'ImageSets/Segmentation').mkdir(parents=True)
    train, val = wanted['train'], wanted['val']
    extra = -(-train // 3)
    total = train + extra + val
    ids = [f'{PREFIX}{index:06d}' for index in range(total)]
    rows = []
    draw = partial(draw_file, folder=folder, seed=wanted['seed'], size=wanted['size'])
    for name, tags in zip(ids, map_ordered(draw, ids, processes)):
        rows.append((name, ' '.join(tags)))
        if report is not None:
            report(len(rows), total)
    with (folder / 'image_labels.csv').open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerows([('image_id', 'labels'), *rows])
    lists = dict(train=ids[:train], trainaug=ids[: train + extra], val=ids[-val:])
    for name, members in lists.items():
        path = folder / 'ImageSets/Segmentation' / f'{name}.txt'
        path.write_text(''.join(f'{member}\n' for member in members))
    (folder / MANIFEST).write_text(json.dumps(wanted) + '\n')


def draw_file(name: str, *, folder: Path, seed: int, size: int) -> tuple[str, ...]:
    """Draw and write the image of an id; give its tags."""
    drawn = draw_image(seed, int(name.removeprefix(PREFIX)), size=size)
    write_image(folder, name, drawn)
    return drawn.tags


def write_image(folder: Path, name: str, drawn: SynthImage) -> None:
    """Write the JPEG, the palette mask and the detection XML of one image."""
    Image.fromarray(drawn.image).save(
        folder / 'JPEGImages' / f'{name}.jpg', quality=JPEG_QUALITY
    )
    mask = Image.fromarray(drawn.mask)
    mask.putpalette([value for colour in voc_palette(256) for value in colour])
    mask.save(folder / 'SegmentationClass' / f'{name}.png')

    root = ElementTree.Element('annotation')
    ElementTree.SubElement(root, 'filename').text = f'{name}.jpg'
    height, width = drawn.mask.shape
    add_numbers(root, 'size', dict(width=width, height=height, depth=3))
    ElementTree.SubElement(root, 'segmented').text = '1'
    for one in drawn.objects:
        node = ElementTree.SubElement(root, 'object')
        ElementTree.SubElement(node, 'name').text = one.name
        ElementTree.SubElement(node, 'difficult').text = str(int(one.difficult))
        keys = ('xmin', 'ymin', 'xmax', 'ymax')
        # VOC counts pixels from one.
        add_numbers(node, 'bndbox', {k: v + 1 for k, v in zip(keys, one.box)})
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(folder / 'Annotations' / f'{name}.xml')


def add_numbers(parent: ElementTree.Element, tag: str, numbers: dict[str, int]) -> None:
    """Append an element that holds one child per number."""
    node = ElementTree.SubElement(parent, tag)
    for key, value in numbers.items():
        ElementTree.SubElement(node, key).text = str(value)
