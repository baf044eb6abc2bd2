"""Tags by where an image lies, and PASCAL VOC's lists of a class."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from wsss_mm.datasets.tag_formats.rows import Row, TagTable, clean_names
from wsss_mm.io.limits import MOST_TABLE_BYTES, read_text
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError

SPLITS = frozenset({'train', 'training', 'trainval', 'val', 'valid', 'validation'})
PARTS = SPLITS | {'test'}
CLASS_LIST = re.compile(r'(?P<name>.+)_(?P<split>trainval|train|val|test)\.txt')
FLAGS = {'1': True, '0': True, '-1': False}


def read_class_folders(photos: Sequence[str], *, where: Path) -> TagTable:
    """Take the first folder of an image as its class, below train and val if they are.

    Args:
        photos: Paths below the folder.
        where: The folder, for messages.

    Raises:
        InputError: If no photograph lies in a sub-folder.
    """
    inner = [PurePosixPath(photo) for photo in photos if '/' in photo]
    if not inner:
        raise InputError(
            f'{where}: no tags: no photograph lies in a folder named after its class, '
            'and there are no files of labelme or PASCAL VOC; give --tags FILE'
        )
    depth = int(all(path.parts[0].lower() in PARTS for path in inner))
    rows = tuple(
        Row((str(path),), clean_names([path.parts[depth]]), str(where / path))
        for path in inner
        if len(path.parts) > depth + 1
    )
    if not rows:
        raise InputError(
            f'{where}: its folders are parts such as train and val, without classes in '
            'them; give --tags FILE'
        )
    return TagTable('one folder a class', rows)


def is_class_list(path: Path) -> bool:
    """Say whether a file is called as PASCAL VOC's list of a class."""
    return CLASS_LIST.fullmatch(path.name) is not None


def read_class_lists(folder: Path, *, split: str | None = None) -> TagTable:
    """Read ``<class>_<split>.txt``: lines of an image and 1, -1 or 0.

    A 0 stands for an object that is hard to see; it is there.

    Args:
        folder: Of the lists of all classes.
        split: Which to read; if None ``trainval`` where it is, else all.

    Raises:
        InputError: If a line is malformed.
    """
    found = {}
    for path in sorted(folder.glob('*.txt')):
        match = CLASS_LIST.fullmatch(path.name)
        if match:
            found[match['name'], match['split']] = path
    splits = {one for _, one in found}
    if split is None and 'trainval' in splits:
        split = 'trainval'
    names: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for (name, part), path in found.items():
        if part == (split or part):
            for where, image, present in lines_of_list(path):
                names.setdefault(image, []).extend([name] * present)
                places.setdefault(image, where)
    rows = tuple(
        Row((image,), clean_names(own), places[image]) for image, own in names.items()
    )
    return TagTable("PASCAL VOC's lists of a class", rows)


def lines_of_list(path: Path) -> list[tuple[str, str, bool]]:
    """Read the lines of one list: where, image, and whether it shows the class."""
    lines = []
    text = read_text(path, most=MOST_TABLE_BYTES, kind='a list')
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        image, _, flag = line.strip().rpartition(' ')
        if not image:
            image, flag = flag, '1'
        if flag not in FLAGS:
            raise InputError(
                f'{path}:{number}: {brief(line.strip())} is not an image and 1, -1 or 0'
            )
        lines.append((f'{path}:{number}', image.strip(), FLAGS[flag]))
    return lines
