"""Look over a whole dataset and say everything that is wrong with it.

The dataset classes stop at the first error; here all files are read and the findings
counted, so that they can be mended together.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from wsss_mm.datasets.image_files import ImageFolder, file_of_image, read_id_list
from wsss_mm.datasets.image_label_dataset import (
    ImageLabelDataset,
    check_classes,
    check_stems,
)
from wsss_mm.datasets.tags import read_csv, read_json, tags_from_masks, tags_from_xml
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.mask_file import load_mask
from wsss_mm.utils.parallel import map_ordered

READERS = {'.csv': read_csv, '.json': read_json}


@dataclass
class Health:
    """What is known about a dataset after a look at every file.

    Attributes:
        facts: What is in order, one line each.
        problems: For each kind of problem, one message per file or tag.
    """

    facts: list[str] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, messages: Sequence[str]) -> None:
        """Note problems of a kind, if there are any."""
        if messages:
            self.problems.setdefault(kind, []).extend(messages)

    def attempt(self, kind: str, act: Callable[[], Any]) -> Any:
        """Give what a function gives; note its ValueError as a problem."""
        try:
            return act()
        except ValueError as error:
            self.add(kind, [str(error)])
            return None


def check_dataset(
    dataset: ImageLabelDataset, *, workers: int = 1, all_masks: bool = True
) -> Health:
    """Read every list, tag, image and mask of a dataset.

    Args:
        dataset: Made with ``lazy_init=True``; nothing of it is loaded.
        workers: Processes that read images.
        all_masks: Whether an image without a mask is a problem, where masks are
            configured.

    Returns:
        Problems of the kinds classes, list, folder, images, unreadable, tags, masks,
        sizes, and strays (masks without an image).
    """
    health = Health()
    health.attempt('classes', lambda: check_classes(dataset.metainfo['classes']))
    if health.problems:
        return health
    tags = dataset.tags is not None and dataset.tag_source == 'file'
    rows = check_tag_table(dataset, health) if tags else []
    ids = rows
    if dataset.ann_file:
        ids = health.attempt('list', lambda: read_id_list(dataset.ann_file)) or []
    images = dataset.data_prefix['img_path']
    folder = health.attempt('folder', lambda: ImageFolder(images))
    if not ids or folder is None:
        return health
    names = find_images(dataset, health, folder=folder, ids=ids)
    if tags and rows:
        lacking = sorted(set(ids) - set(rows))
        health.add(
            'tags', [f'image {one!r} has no line in the table' for one in lacking]
        )
    elif dataset.tags is not None and not tags:
        check_each_tag(dataset, health, names=names)
    check_files(dataset, health, names=names, workers=workers, all_masks=all_masks)
    return health


def check_tag_table(dataset: ImageLabelDataset, health: Health) -> list[str]:
    """List the images of the tag table; note every tag that is no class."""
    path = Path(dataset._tag_path())
    read = READERS.get(path.suffix.lower())
    if read is None or not path.is_file():
        health.add('tags', [f'no tag table {path} (.csv or .json)'])
        return []
    text = health.attempt('tags', lambda: path.read_text(encoding='utf-8-sig'))
    rows = health.attempt('tags', lambda: read(path, text)) if text else None
    known = {*dataset.foreground, *dataset._ignored()}
    seen: dict[str, None] = {}
    for text, tags, where in rows or ():
        image_id = health.attempt('tags', partial(normalise_id, text, where=where))
        if image_id is None:
            continue
        if image_id in seen:
            health.add('tags', [f'{where}: image {image_id!r} occurs twice'])
        seen[image_id] = None
        unknown = sorted(set(tags) - known)
        health.add('tags', [f'{where}: {tag!r} is no class' for tag in unknown])
    if rows and 'tags' not in health.problems:
        health.facts.append(f'{len(seen)} images with tags in {path}')
    return list(seen)


def check_each_tag(
    dataset: ImageLabelDataset, health: Health, *, names: dict[str, str]
) -> None:
    """Read the tags of every image from its own file."""
    folder, known = dataset._tag_path(), dataset.foreground
    for image_id, name in names.items():
        stem = os.path.splitext(name)[0]
        if dataset.tag_source == 'xml':
            read = partial(
                tags_from_xml, folder, [stem], known, ignored=dataset._ignored()
            )
        else:
            paths = {image_id: file_of_image(folder, name, '.png')}
            read = partial(tags_from_masks, paths, dataset._mask_classes()[1:])
        health.attempt('tags', read)
    if 'tags' not in health.problems:
        health.facts.append(f'{len(names)} images with tags in {folder}')


def find_images(
    dataset: ImageLabelDataset,
    health: Health,
    *,
    folder: ImageFolder,
    ids: Sequence[str],
) -> dict[str, str]:
    """Find the file of each image; note those that are missing."""
    source = dataset.ann_file or dataset._tag_path()
    names = {}
    for image_id in ids:
        find = partial(folder.find, image_id, source=source)
        name = health.attempt('images', find)
        if name is not None:
            names[image_id] = name
    health.attempt('images', lambda: check_stems(names, source=source))
    health.facts.append(f'{len(names)} of {len(ids)} images of {source} are there')
    return names


def check_files(
    dataset: ImageLabelDataset,
    health: Health,
    *,
    names: dict[str, str],
    workers: int,
    all_masks: bool,
) -> None:
    """Read every image and its mask."""
    folder = dataset.data_prefix.get('seg_map_path')
    read = partial(
        check_pair,
        images=dataset.data_prefix['img_path'],
        masks=folder,
        num_classes=len(dataset._mask_classes()),
    )
    counts = {'unreadable': 0, 'missing': 0, 'masks': 0, 'sizes': 0, 'ok': 0}
    for kind, message in map_ordered(read, list(names.values()), workers):
        counts[kind] += 1
        if kind == 'missing' and all_masks:
            health.add('masks', [message])
        elif kind not in ('ok', 'missing'):
            health.add(kind, [message])
    if folder is None:
        if 'unreadable' not in health.problems:
            health.facts.append('all of them can be read')
        return
    health.facts.append(
        f'{counts["ok"]} of them can be read and have a mask of their size in {folder}'
    )
    strays = stray_masks(Path(folder), Path(read.keywords['images']))
    others = ids_beside(dataset.ann_file)
    health.add(
        'strays',
        [f'{path} belongs to no image' for path, stem in strays if stem not in others],
    )


def check_pair(
    name: str, *, images: str, masks: str | None, num_classes: int
) -> tuple[str, str]:
    """Read one image and its mask; give what is wrong, ``('ok', '')`` if nothing."""
    try:
        size = read_rgb(os.path.join(images, name)).shape[:2]
    except ValueError as error:
        return 'unreadable', str(error)
    if masks is None:
        return 'ok', ''
    path = file_of_image(masks, name, '.png')
    if not os.path.isfile(path):
        return 'missing', f'no mask {path}'
    try:
        mask = load_mask(path, num_classes=num_classes)
    except ValueError as error:
        return 'masks', str(error)
    if mask.shape != size:
        return 'sizes', (
            f'{path} is {mask.shape[0]}x{mask.shape[1]} (height x width), its image '
            f'{size[0]}x{size[1]}'
        )
    return 'ok', ''


def ids_beside(ann_file: str) -> set[str]:
    """Collect the ids of all lists in a list's folder: their masks may be here too."""
    found: set[str] = set()
    for path in Path(ann_file).parent.glob('*.txt') if ann_file else ():
        with contextlib.suppress(ValueError):
            found |= set(read_id_list(path))
    return found


def stray_masks(masks: Path, images: Path) -> Iterator[tuple[Path, str]]:
    """Find the masks that belong to no image of a folder, with their ids."""
    stems = {
        os.path.splitext(os.path.join(os.path.relpath(parent, images), file))[0]
        for parent, _, files in os.walk(images)
        for file in files
    }
    for path in sorted(masks.rglob('*.png')):
        stem = os.path.join(
            os.path.relpath(path.parent, masks), os.path.splitext(path.name)[0]
        )
        if stem not in stems:
            yield path, os.path.normpath(stem)
