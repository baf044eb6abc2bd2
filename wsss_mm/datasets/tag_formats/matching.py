"""Bring the lines of a tag file together with the photographs of a folder."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsss_mm.datasets.tag_formats.rows import Row, TagTable
from wsss_mm.io.image_id import IMAGE_SUFFIXES, compose
from wsss_mm.utils.errors import InputError


@dataclass(frozen=True)
class Matched:
    """Which tags belong to which photographs.

    Attributes:
        tags: Of every photograph that has a line; its path below the folder, and its
            classes in the order of the table's.
        without_line: Photographs that no line names.
        without_image: Where the lines stand that name no photograph, and what they
            name; or that may mean several.
    """

    tags: dict[str, tuple[str, ...]]
    without_line: tuple[str, ...]
    without_image: tuple[str, ...]


def list_photos(folder: str | Path) -> list[str]:
    """List the photographs of a folder and its sub-folders, hidden ones left out.

    Returns:
        Their paths below the folder, with ``/`` and extension, sorted.

    Raises:
        InputError: If there is no such folder, or no photograph in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f'{root}: no such folder; give the folder of the photographs')
    found = []
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(one for one in folders if not one.startswith('.'))
        found += [
            compose((Path(parent) / file).relative_to(root).as_posix())
            for file in files
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith('.')
        ]
    if not found:
        raise InputError(
            f'{root}: holds no photograph ({", ".join(IMAGE_SUFFIXES)}); give the '
            'folder that does'
        )
    return sorted(found)


def match_photos(table: TagTable, photos: Sequence[str]) -> Matched:
    """Find the photograph of every line.

    A line may name it by its path or by the end of its path, with or without extension,
    in either case, and in any system's spelling.

    Args:
        table: What the tag file says; several lines of an image are put together.
        photos: Paths of the photographs, as `list_photos` gives them.

    Raises:
        InputError: If no line names a photograph, or two classes differ in case alone.
    """
    classes = table.ordered_classes()
    refuse_twins(classes)
    index = index_of(photos)
    names: dict[str, set[str]] = {}
    lost = []
    for row in table.rows:
        found = find_photo(row, index)
        if len(found) == 1:
            names.setdefault(found[0], set()).update(row.names)
        else:
            of = f' (any of {", ".join(found[:3])})' if found else ''
            lost.append(f'{row.where}: {row.images[0]}{of}')
    if not names:
        raise InputError(
            f'no line of the tags names a photograph; the first is {lost[0]}, and '
            f'the first photograph is {photos[0]}. Are they of this folder?'
            if lost
            else 'the tags name no image; give a file with one line for each'
        )
    tags = {
        photo: tuple(one for one in classes if one in names[photo])
        for photo in photos
        if photo in names
    }
    rest = tuple(photo for photo in photos if photo not in names)
    return Matched(tags, rest, tuple(lost))


def refuse_twins(classes: Sequence[str]) -> None:
    """Refuse classes that differ in case alone: one is a slip of the other."""
    seen: dict[str, str] = {}
    for name in classes:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f'the tags use {other!r} and {name!r}; write the class in one way'
            )


@dataclass(frozen=True)
class PhotoIndex:
    """Photographs by their names.

    Attributes:
        whole: By their paths, with and without extension, in either case.
        ends: By every end of their paths, likewise.
    """

    whole: dict[str, list[str]]
    ends: dict[str, list[str]]


def index_of(photos: Sequence[str]) -> PhotoIndex:
    """Index photographs by all the names that a line may use."""
    whole: dict[str, list[str]] = {}
    last: dict[str, list[str]] = {}
    for photo in photos:
        for form in {*forms(photo)}:
            whole.setdefault(form, []).append(photo)
        for form in {form for end in ends(photo) for form in forms(end)}:
            last.setdefault(form, []).append(photo)
    return PhotoIndex(whole, last)


def find_photo(row: Row, index: PhotoIndex) -> list[str]:
    """List the photographs that a line may mean.

    The path of the photograph ends in the name of the line, or the name, which may hold
    the folders of another machine, in the path of the photograph.
    """
    for name in row.images:
        for form in forms(name):
            found = index.ends.get(form, [])
            whole = [photo for photo in found if photo in index.whole.get(form, [])]
            if found:
                return whole if len(whole) == 1 else found
        for end in ends(name):
            for form in forms(end):
                if form in index.whole:
                    return index.whole[form]
    return []


def forms(name: str) -> tuple[str, ...]:
    """Write a name as it is, without its extension, and both in small letters."""
    return name, name.casefold(), stem(name), stem(name).casefold()


def ends(path: str) -> Iterator[str]:
    """List a path, and what is left of it without its first folders."""
    parts = path.split('/')
    return ('/'.join(parts[number:]) for number in range(len(parts)))


def stem(path: str) -> str:
    """Take off the extension of an image."""
    root, suffix = os.path.splitext(path)
    return root if suffix.lower() in IMAGE_SUFFIXES else path
