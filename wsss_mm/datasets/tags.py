"""Read image-level tags: from a CSV or JSON file, detection XML or masks."""

import csv
import difflib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.mask_file import load_mask
from wsss_mm.utils.errors import InputError

Tags = dict[str, tuple[str, ...]]
HEADER = ('image_id', 'labels')


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
    path = Path(path)
    readers = {'.csv': read_csv, '.json': read_json}
    if path.suffix.lower() not in readers:
        raise InputError(f'{path}: a tag file must end in .csv or .json')
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            text = file.read()
    except FileNotFoundError as error:
        raise InputError(
            f'no tag file {path}; write one line `image_id,labels` per image'
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'cannot read {path}: {error}; save it as UTF-8') from error
    tags: Tags = {}
    for text_id, names, where in readers[path.suffix.lower()](path, text):
        image_id = normalise_id(text_id, where=where)
        if image_id in tags:
            raise InputError(f'{where}: image {image_id!r} occurs twice; keep one')
        tags[image_id] = in_class_order(names, classes, where=where, ignored=ignored)
    if not tags:
        raise InputError(f'{path} names no image; add one entry per image')
    return tags


def write_tag_file(path: str | Path, tags: Mapping[str, Sequence[str]]) -> None:
    """Write tags as a CSV file that `read_tag_file` reads.

    Raises:
        ValueError: If an id is not as `normalise_id` leaves it, or the file cannot be
            written.
    """
    for image_id in tags:
        if normalise_id(image_id, where=path) != image_id:
            raise InputError(
                f'{path}: the image id {image_id!r} is written '
                f'{normalise_id(image_id, where=path)!r}; rename it'
            )
    with (
        atomic_write(path) as temporary,
        temporary.open('w', encoding='utf-8', newline='') as file,
    ):
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(HEADER)
        for image_id, names in tags.items():
            plain = ' '.join(names)
            plain_is_read = plain.split() == list(names) and not plain.startswith('[')
            labels = plain if plain_is_read else json.dumps(list(names))
            writer.writerow((image_id, labels))


def read_csv(path: Path, text: str) -> list[tuple[str, list[str], str]]:
    """Split a CSV file into image, names and where they stand."""
    rows = []
    # Other characters that end a line elsewhere belong to the cell.
    reader = csv.reader(io.StringIO(text, newline='\n'), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if tuple(header) != HEADER:
            raise InputError(
                f'{path}:1: the header is {",".join(header)!r}; '
                f'make the first line {",".join(HEADER)!r}'
            )
        for row in reader:
            where = f'{path}:{reader.line_num}'
            if not row:
                continue
            image_id = row[0].strip(' \t')
            if len(row) != len(HEADER) or not image_id:
                raise InputError(
                    f'{where}: {",".join(row)!r} is not `image_id,labels`; '
                    'quote ids that hold a comma and separate labels by spaces'
                )
            rows.append((image_id, split_labels(row[1], where), where))
    except csv.Error as error:
        raise InputError(
            f'{path}:{reader.line_num}: {error}; close the quotes of this line'
        ) from error
    return rows


def split_labels(cell: str, where: str) -> list[str]:
    """Split a cell of names separated by spaces, or a JSON list of names."""
    if not cell.lstrip().startswith('['):
        return cell.split()
    try:
        names = json.loads(cell)
    except json.JSONDecodeError as error:
        raise InputError(
            f'{where}: {cell!r} is no JSON list ({error.msg}); '
            'write it as ["first", "second"]'
        ) from error
    return check_names(names, where)


def read_json(path: Path, text: str) -> list[tuple[str, list[str], str]]:
    """Split a JSON file into image, names and where they stand."""
    try:
        pairs = json.loads(text, object_pairs_hook=Pairs)
    except json.JSONDecodeError as error:
        raise InputError(
            f'{path}:{error.lineno}: no valid JSON ({error.msg}); mend this line'
        ) from error
    except RecursionError as error:
        raise InputError(f'{path}: lists in too many lists; flatten them') from error
    if isinstance(pairs, Pairs):
        entries = list(pairs)
    elif isinstance(pairs, list):
        entries = [read_entry(entry, f'{path}[{i}]') for i, entry in enumerate(pairs)]
    else:
        raise InputError(
            f'{path} holds a {type(pairs).__name__}; write {{"id": ["name", ...]}}'
        )
    return [
        (image_id, check_names(names, f'{path}: image {image_id!r}'), str(path))
        for image_id, names in entries
    ]


class Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps keys that occur twice."""


def read_entry(entry: object, where: str) -> tuple[str, Any]:
    """Take one object of the list form of a JSON tag file."""
    if not isinstance(entry, Pairs) or sorted(key for key, _ in entry) != list(HEADER):
        raise InputError(
            f'{where} is not {{"image_id": ..., "labels": [...]}}; give both keys'
        )
    values = dict(entry)
    if not isinstance(values['image_id'], str):
        raise InputError(f'{where}: image_id {values["image_id"]!r} must be a string')
    return values['image_id'], values['labels']


def check_names(names: object, where: str) -> list[str]:
    """Refuse labels that are not a list of strings."""
    if isinstance(names, Pairs) or not isinstance(names, list):
        raise InputError(f'{where}: the labels {names!r} must be a list of names')
    for name in names:
        if not isinstance(name, str):
            raise InputError(f'{where}: the label {name!r} must be a class name')
    return list(names)


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
            root = ElementTree.parse(path).getroot()
        except FileNotFoundError as error:
            raise InputError(
                f'image {image_id!r} has no annotation {path}; add the file or '
                'give the tags as a CSV or JSON file'
            ) from error
        except ElementTree.ParseError as error:
            raise InputError(
                f'{path} is no valid XML: {error}; get the file again'
            ) from error
        names = [node.findtext('name', '').strip() for node in root.findall('object')]
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
    """Sort names by class and drop repeats; refuse names that are no class."""
    found = set(names) - set(ignored)
    for name in sorted(found - set(classes)):
        close = difflib.get_close_matches(name, classes, n=1)
        hint = f'did you mean {close[0]!r}?' if close else 'correct the tag or'
        rest = '' if close else ' add it to the class list'
        raise InputError(
            f'{where}: the tag {name!r} is not in the class list; {hint}{rest} '
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
        close = difflib.get_close_matches(missing[0], tags, n=1)
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
