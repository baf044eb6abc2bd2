"""Read lists of image ids and find the image that an id means."""

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_id import IMAGE_SUFFIXES, check_normal, compose, normalise_id
from wsss_mm.io.limits import MOST_IMAGES, MOST_TABLE_BYTES, lines_of, read_text
from wsss_mm.utils.errors import InputError

# The lists of PSA and SEAM: "/JPEGImages/<id>.jpg /SegmentationClassAug/<id>.png".
PAIR_LINE = re.compile(r'^/JPEGImages/(?P<id>.+?)\.jpg(\s+/\S+)?$')


def read_id_list(path: str | Path) -> list[str]:
    """Read one image id per line; the pair format of PSA and SEAM is known too.

    Raises:
        ValueError: If the file is missing or empty, an id is not one that
            `normalise_id` accepts, or one occurs twice.
    """
    try:
        content = read_text(path, most=MOST_TABLE_BYTES, kind='a list')
    except FileNotFoundError as error:
        raise InputError(f'no list file {path}; write one image id per line') from error
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines_of(content), start=1):
        text = line.strip(' \t\r\n')
        if not text:
            continue
        pair = PAIR_LINE.match(text)
        where = f'{path}:{number}'
        image_id = normalise_id(pair['id'] if pair else text, where=where)
        if image_id in first_line:
            raise InputError(
                f'{where}: image {image_id!r} is already on line '
                f'{first_line[image_id]}; keep one'
            )
        if number > MOST_IMAGES:
            raise InputError(f'{where}: more than {MOST_IMAGES:,} lines')
        first_line[image_id] = number
    if not first_line:
        raise InputError(f'{path} is empty; write one image id per line')
    return list(first_line)


def write_id_list(path: str | Path, ids: Iterable[str]) -> None:
    """Write a list that `read_id_list` reads: one image id a line.

    Raises:
        ValueError: If an id is not as `normalise_id` leaves it, or the file cannot be
            written.
    """
    kept = list(ids)
    check_normal(kept, where=path)
    with atomic_write(path) as temporary:
        temporary.write_text(''.join(f'{one}\n' for one in kept), encoding='utf-8')


class ImageFolder:
    """Find images by id in a folder, listing every sub-folder once."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._listings: dict[str, Listing] = {}
        if not self.root.is_dir():
            raise InputError(
                f'no image folder {self.root}; correct data_root or '
                'data_prefix.img_path, or put the dataset there'
            )

    def find(self, image_id: str, *, source: str | Path) -> str:
        """Give the path of an image, relative to the folder.

        Names match in either Unicode form, extensions in either case.

        Args:
            image_id: Path below the folder, with or without its extension.
            source: File that names the image, for the message.

        Raises:
            ValueError: If there is no such image or more than one.
        """
        image_id = normalise_id(image_id, where=source)
        parent, name = os.path.split(image_id)
        listing = self._list(parent)
        found = listing.names.get(name) or listing.stems.get(name) or []
        if not found:
            raise InputError(
                f'no image {self.root / image_id} ({", ".join(IMAGE_SUFFIXES)}) for '
                f'{image_id!r} of {source}; add the image or remove it from there'
            )
        if len(found) > 1:
            raise InputError(
                f'{image_id!r} of {source} may be any of {", ".join(found)} in '
                f'{self.root / parent}; write the id with its extension'
            )
        return os.path.join(listing.parent, found[0])

    def _list(self, parent: str) -> 'Listing':
        if parent not in self._listings:
            self._listings[parent] = list_folder(self.root, parent)
        return self._listings[parent]


@dataclass(frozen=True)
class Listing:
    """The images of a folder, by their composed names.

    Attributes:
        parent: The folder below the image folder, as it is stored.
        names: The files of each name.
        stems: The files of each name without extension.
    """

    parent: str
    names: dict[str, list[str]]
    stems: dict[str, list[str]]


def list_folder(root: Path, parent: str) -> Listing:
    """List the images of a sub-folder; none where there is no such folder.

    Raises:
        ValueError: If the folder cannot be read.
    """
    decomposed = unicodedata.normalize('NFD', parent)
    if not (root / parent).is_dir() and (root / decomposed).is_dir():
        parent = decomposed
    listing = Listing(parent, {}, {})
    try:
        files = sorted(os.listdir(root / parent)) if (root / parent).is_dir() else []
    except OSError as error:
        raise InputError(
            f'cannot list {root / parent}: {error.strerror}; make it readable'
        ) from error
    for file in files:
        stem, suffix = os.path.splitext(file)
        if suffix.lower() in IMAGE_SUFFIXES:
            listing.names.setdefault(compose(file), []).append(file)
            listing.stems.setdefault(compose(stem), []).append(file)
    return listing


def result_name(image_name: str) -> str:
    """Give the name under which results of an image are kept: without extension."""
    return compose(os.path.splitext(image_name)[0])


def file_of_image(folder: str | Path, image_name: str, suffix: str) -> str:
    """Give the file that a folder has for an image: the same relative path.

    Args:
        folder: Of masks, annotations or the like.
        image_name: Path of the image below its folder.
        suffix: What takes the place of the image's extension; a file may have it in
            capitals.

    Returns:
        The path; in the Unicode form of `result_name` unless a file has the image's.
        There need not be such a file.
    """
    stored, composed = os.path.splitext(image_name)[0], result_name(image_name)
    for stem in (stored, composed):
        for ending in (suffix, suffix.upper(), suffix.title()):
            path = os.path.join(folder, stem + ending)
            if os.path.isfile(path):
                return path
    return os.path.join(folder, composed + suffix)
