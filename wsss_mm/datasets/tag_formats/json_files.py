"""Tags in JSON: this project's own, COCO (also Roboflow's), and labelme."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from wsss_mm.datasets.tag_formats.rows import Row, TagTable, clean_names, clean_path
from wsss_mm.datasets.tags import read_json
from wsss_mm.io.json_text import parse_json
from wsss_mm.io.limits import MOST_COCO_BYTES, read_text
from wsss_mm.utils.errors import InputError

COCO_KEYS = frozenset({'images', 'annotations', 'categories'})


def read_json_table(path: Path) -> TagTable:
    """Read a JSON file of any kind that is known.

    Raises:
        InputError: If it is none of them, or malformed.
    """
    text = read_text(path, most=MOST_COCO_BYTES, kind='a tag file')
    content = parse_json(text, where=path)
    if isinstance(content, dict) and set(content) >= COCO_KEYS:
        return read_coco(path, content)
    if isinstance(content, dict) and 'shapes' in content:
        return TagTable('labelme', (read_labelme(path, content, folder=path.parent),))
    if isinstance(content, dict) and {'images', 'annotations'} & set(content):
        lacking = ', '.join(sorted(COCO_KEYS - set(content)))
        raise InputError(f'{path}: COCO without {lacking}; export instances with boxes')
    rows = [
        Row((clean_path(image),), clean_names(names), f'{path}: {image!r}')
        for image, names, _ in read_json(path, text)
    ]
    if not rows:
        raise InputError(f'{path}: names no image; write {{"image": ["class", ...]}}')
    return TagTable('object of image names and labels', tuple(rows))


def read_coco(path: Path, content: dict[str, Any]) -> TagTable:
    """Take the classes of the annotations of each image; one without any shows none.

    Categories that no annotation has are left out: Roboflow adds one for the project.
    """
    try:
        categories = {one['id']: str(one['name']) for one in content['categories']}
        names: dict[Any, list[str]] = {one['id']: [] for one in content['images']}
        for one in content['annotations']:
            names[one['image_id']].append(categories[one['category_id']])
        rows = tuple(
            Row(
                (clean_path(str(one['file_name'])),),
                clean_names(names[one['id']]),
                f'{path}: image {one["id"]}',
            )
            for one in content['images']
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f'{path}: no COCO annotations of objects (it fails at {error}); export '
            'the instances, with images, annotations and categories'
        ) from error
    return TagTable('COCO', rows, clean_names(categories.values()))


def read_labelme_folder(folder: Path, files: Iterable[Path]) -> TagTable:
    """Read the labelme file of every image.

    Raises:
        InputError: If a file is malformed.
    """
    rows = []
    for path in files:
        text = read_text(path, most=MOST_COCO_BYTES, kind='a labelme file')
        content = parse_json(text, where=path)
        if isinstance(content, dict) and 'shapes' in content:
            rows.append(read_labelme(path, content, folder=folder))
    return TagTable('labelme', tuple(rows))


def read_labelme(path: Path, content: dict[str, Any], *, folder: Path) -> Row:
    """Take the labels of the shapes of an image, and the flags that are set."""
    try:
        labels = [str(shape['label']) for shape in content['shapes']]
        flags = [name for name, on in (content.get('flags') or {}).items() if on]
        image = clean_path(str(content.get('imagePath') or ''))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f'{path}: no labelme file (it fails at {error}); save it with labelme again'
        ) from error
    own = clean_path(path.relative_to(folder).with_suffix('').as_posix())
    beside = PurePosixPath(own).parent / PurePosixPath(image).name
    named = (clean_path(str(beside)),) if image else ()
    return Row((*named, own), clean_names([*labels, *flags]), str(path))
