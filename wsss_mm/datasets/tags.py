"""Read image-level tags: from a CSV or JSON file, detection XML or masks."""

import csv
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_mm.datasets.detection_xml import read_object_names
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_id import check_normal, normalise_id
from wsss_mm.io.json_text import parse_json
from wsss_mm.io.limits import (
    MOST_IMAGES,
    MOST_JSON_BYTES,
    MOST_TABLE_BYTES,
    lines_of,
    read_text,
)
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError

Tags = dict[str, tuple[str, ...]]
HEADER = ('image_id', 'labels')
# Keys of COCO's annotations, which are JSON too.
COCO_KEYS = ('images', 'annotations', 'categories')
# How many names a name that is not found is compared with.
COMPARED = 10_000
Row = tuple[str, list[str], str]


def read_tag_file(
    path: str | Path, classes: Sequence[str], *, ignored: Iterable[str] = ()
) -> Tags:
    """Read the tags of all images from a CSV or JSON file.

    A CSV file has the columns `image_id,labels`; labels are class names
    separated by spaces, or a JSON list of names. A JSON file is an object
    `{id: [names]}` or a list of `{"image_id": id, "labels": [names]}`. An image
    that shows background only has an empty list.

    Args:
        path: File ending in `.csv` or `.json`.
        classes: Foreground class names.
        ignored: Names that are left out instead of refused.

    Returns:
        For every image, its classes in class order, each once.

    Raises:
        ValueError: If the file is missing or malformed, names an image twice
            or uses a tag that is not a class.
    """
    tags: Tags = {}
    for text_id, names, where in read_rows(path):
        image_id = normalise_id(text_id, where=where)
        if image_id in tags:
            raise InputError(f'{where}: image {image_id!r} occurs twice; keep one')
        if len(tags) >= MOST_IMAGES:
            raise InputError(f'{where}: more than {MOST_IMAGES:,} images')
        tags[image_id] = in_class_order(names, classes, where=where, ignored=ignored)
    if not tags:
        raise InputError(f'{path} names no image; add one entry per image')
    return tags


def read_rows(path: str | Path) -> Iterator[Row]:
    """Read the rows of a CSV or JSON tag file as they stand there.

    Yields:
        Image, names, and the file and line, or the file, that they stand in.

    Raises:
        ValueError: If the file is missing, too large or malformed.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        raise InputError(f'{path}: a tag file must end in .csv or .json')
    read, most = READERS[path.suffix.lower()]
    try:
        text = read_text(path, most=most, kind='a tag table')
    except FileNotFoundError as error:
        raise InputError(
            f'no tag file {path}; write one line `image_id,labels` per image'
        ) from error
    yield from read(path, text)


def write_tag_file(path: str | Path, tags: Mapping[str, Sequence[str]]) -> None:
    """Write tags as a CSV file that `read_tag_file` reads.

    Raises:
        ValueError: If an id is not as `normalise_id` leaves it, or the file cannot be
            written.
    """
    check_normal(tags, where=path)
    with (
        atomic_write(path) as temporary,
        temporary.open('w', encoding='utf-8', newline='') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(HEADER)
        for image_id, names in tags.items():
            plain = ' '.join(names)
            is_plain = plain.split() == list(names) and not plain.startswith('[')
            # Characters that end a line, or that files cannot hold, are escaped.
            as_it_is = is_plain and plain.isprintable()
            labels = plain if as_it_is else json.dumps(list(names))
            writer.writerow((image_id, labels))


def read_csv(path: Path, text: str) -> Iterator[Row]:
    """Split a CSV file into image, names and where they stand."""
    # Other characters that end a line elsewhere belong to the cell.
    reader = csv.reader(lines_of(text), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if tuple(header) != HEADER:
            raise InputError(
                f'{path}:1: the header is {brief(",".join(header))}; '
                f'make the first line {",".join(HEADER)!r}'
            )
        for row in reader:
            where = f'{path}:{reader.line_num}'
            if not row:
                continue
            image_id = row[0].strip(' \t')
            if len(row) != len(HEADER) or not image_id:
                raise InputError(
                    f'{where}: {brief(",".join(row))} is not `image_id,labels`; '
                    'quote ids that hold a comma and separate labels by spaces'
                )
            yield image_id, split_labels(row[1], where), where
    except csv.Error as error:
        raise InputError(
            f'{path}:{reader.line_num}: {error}; close the quotes of this line'
        ) from error


def split_labels(cell: str, where: str) -> list[str]:
    """Split a cell of names separated by spaces, or a JSON list of names."""
    if not cell.lstrip().startswith('['):
        return cell.split()
    try:
        names = parse_json(cell, where=where, numbered=False)
    except InputError as error:
        raise InputError(
            f'{error}: {brief(cell)} is not a JSON list; write ["first", "second"]'
        ) from error
    return check_names(names, where)


def read_json(path: Path, text: str) -> Iterator[Row]:
    """Split a JSON file into image, names and where they stand."""
    pairs = parse_json(text, where=path, pairs=Pairs, deepest=None)
    if isinstance(pairs, Pairs):
        if all(key in dict(pairs) for key in COCO_KEYS):
            raise InputError(
                f'{path} holds the annotations of COCO, not tags; '
                'tools/dataset_converters/coco14.py makes image_labels.csv of them'
            )
        entries = list(pairs)
    elif isinstance(pairs, list):
        entries = [read_entry(entry, f'{path}[{i}]') for i, entry in enumerate(pairs)]
    else:
        raise InputError(
            f'{path} holds a {type(pairs).__name__}; write {{"id": ["name", ...]}}'
        )
    for image_id, names in entries:
        where = f'{path}: image {brief(image_id)}'
        yield image_id, check_names(names, where), str(path)


class Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps keys that occur twice."""

    __slots__ = ()


def read_entry(entry: object, where: str) -> tuple[str, Any]:
    """Take one object of the list form of a JSON tag file."""
    if not isinstance(entry, Pairs) or sorted(key for key, _ in entry) != list(HEADER):
        raise InputError(
            f'{where} is not {{"image_id": ..., "labels": [...]}}; give both keys'
        )
    values = dict(entry)
    if not isinstance(values['image_id'], str):
        raise InputError(
            f'{where}: image_id {brief(values["image_id"])} must be a string'
        )
    return values['image_id'], values['labels']


def check_names(names: object, where: str) -> list[str]:
    """Refuse labels that are not a list of strings."""
    if isinstance(names, Pairs) or not isinstance(names, list):
        raise InputError(f'{where}: the labels {brief(names)} must be a list of names')
    for name in names:
        if not isinstance(name, str):
            raise InputError(f'{where}: the label {brief(name)} must be a class name')
    return list(names)


READERS = {
    '.csv': (read_csv, MOST_TABLE_BYTES),
    '.json': (read_json, MOST_JSON_BYTES),
}


def tags_from_xml(
    folder: str | Path,
    ids: Iterable[str],
    classes: Sequence[str],
    *,
    ignored: Iterable[str] = (),
) -> Tags:
    """Collect the classes of all objects of PASCAL VOC detection XML.

    Objects marked `difficult` count too; parts of objects do not.

    Args:
        folder: Folder of `<id>.xml`.
        ids: Images to read.
        classes: Foreground class names.
        ignored: Names that are left out instead of refused.

    Raises:
        ValueError: If a file is missing or malformed, or names another class.
    """
    tags: Tags = {}
    for image_id in ids:
        path = Path(folder) / f'{image_id}.xml'
        try:
            names = read_object_names(path)
        except FileNotFoundError as error:
            raise InputError(
                f'image {image_id!r} has no annotation {path}; add the file or '
                'give the tags as a CSV or JSON file'
            ) from error
        tags[image_id] = in_class_order(
            names, classes, where=str(path), ignored=ignored
        )
    return tags


def tags_from_masks(paths: Mapping[str, str | Path], classes: Sequence[str]) -> Tags:
    """Collect the classes that occur in masks; pixel value i + 1 is class i.

    Args:
        paths: The mask of every image.
        classes: Foreground class names.

    Raises:
        ValueError: If a mask is missing, unreadable or holds another class.
    """
    tags: Tags = {}
    for image_id, path in paths.items():
        values = np.unique(load_mask(path, num_classes=len(classes) + 1))
        tags[image_id] = tuple(
            classes[value - 1] for value in values if 0 < value <= len(classes)
        )
    return tags


def in_class_order(
    names: Iterable[str],
    classes: Sequence[str],
    *,
    where: str,
    ignored: Iterable[str] = (),
) -> tuple[str, ...]:
    """Sort names by class and drop repeats; refuse names that are not classes."""
    found = set(names) - set(ignored)
    for name in sorted(found - set(classes)):
        close = difflib.get_close_matches(name, classes, n=1)
        hint = f'did you mean {close[0]!r}?' if close else 'correct the tag or'
        rest = '' if close else ' add it to the class list'
        raise InputError(
            f'{where}: the tag {brief(name)} is not in the class list; {hint}{rest} '
            f'(classes: {", ".join(classes)})'
        )
    return tuple(name for name in classes if name in found)


def select_tags(tags: Tags, ids: Sequence[str], *, source: str | Path) -> Tags:
    """Keep the tags of some images; refuse images that have none.

    Args:
        tags: Tags of all images.
        ids: Images to keep, in the order of the result.
        source: File the tags come from, for the message.

    Raises:
        ValueError: If an image has no entry.
    """
    missing = [image_id for image_id in ids if image_id not in tags]
    if missing:
        near = islice(tags, COMPARED)
        close = difflib.get_close_matches(missing[0], near, n=1)
        hint = f' (there is {close[0]!r})' if close else ''
        raise InputError(
            f'{source} has no tags for {len(missing)} image(s), the first is '
            f'{missing[0]!r}{hint}; give it a line, and leave labels empty if it '
            'shows background only'
        )
    return {image_id: tags[image_id] for image_id in ids}


def encode_tags(names: Iterable[str], classes: Sequence[str]) -> NDArray[np.float32]:
    """Turn class names into a multi-hot vector over the classes, shape (C,)."""
    present = set(names)
    return np.array([name in present for name in classes], dtype=np.float32)
