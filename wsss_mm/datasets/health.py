"""Look over a whole dataset and say everything that is wrong with it.

The dataset classes stop at the first error; here all files are read and the findings
counted, so that they can be corrected together.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from wsss_mm.datasets.image_files import (
    ImageFolder,
    file_of_image,
    read_id_list,
)
from wsss_mm.datasets.image_label_dataset import (
    ImageLabelDataset,
    check_classes,
    check_stems,
)
from wsss_mm.datasets.mask_values import classes_drawn_as_ignored, count_values
from wsss_mm.datasets.strays import ids_beside, ids_of, stray_masks
from wsss_mm.datasets.tags import (
    Row,
    Tags,
    read_rows,
    tags_from_masks,
    tags_from_xml,
)
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.mask_file import load_mask
from wsss_mm.io.wording import brief
from wsss_mm.utils.parallel import map_ordered


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
    dataset: ImageLabelDataset,
    *,
    workers: int = 1,
    all_masks: bool = True,
    beside: Sequence[ImageLabelDataset] = (),
) -> Health:
    """Read every list, tag, image and mask of a dataset.

    Args:
        dataset: Made with ``lazy_init=True``; nothing of it is loaded.
        workers: Processes that read images.
        all_masks: Whether an image without a mask is a problem, where masks are
            configured.
        beside: Other datasets, whose masks may lie in the same folder.

    Returns:
        Problems of the kinds classes, list, folder, images, unreadable, tags, masks,
        sizes, values (no class is drawn), absent (some are not), links (one file for
        several images), and strays (masks without an image). The last three need not
        be faults.
    """
    health = Health()
    health.attempt('classes', lambda: check_classes(dataset.metainfo['classes']))
    if health.problems:
        return health
    tags = dataset.tags is not None and dataset.tag_source == 'file'
    rows: Mapping[str, Sequence[str]] = {}
    if tags:
        rows = check_tag_table(dataset, health)
    ids = list(rows)
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
        rows = check_each_tag(dataset, health, names=names)
    own = {name: rows.get(name, ()) for name in names}
    check_files(
        dataset,
        health,
        names=names,
        tags=own if dataset.tags is not None else None,
        workers=workers,
        all_masks=all_masks,
        beside=beside,
    )
    return health


def check_tag_table(dataset: ImageLabelDataset, health: Health) -> dict[str, list[str]]:
    """Read the tags of each image of the table; note every one that is not a class."""
    path = Path(dataset._tag_path())
    known = {*dataset.foreground, *dataset._ignored()}
    seen: dict[str, list[str]] = {}
    for text, tags, where in noting_problems(health, 'tags', read_rows(path)):
        image_id = health.attempt('tags', partial(normalise_id, text, where=where))
        if image_id is None:
            continue
        if image_id in seen:
            health.add('tags', [f'{where}: image {image_id!r} occurs twice'])
        seen[image_id] = tags
        unknown = sorted(set(tags) - known)
        health.add('tags', [f'{where}: {brief(tag)} is not a class' for tag in unknown])
    if not seen and 'tags' not in health.problems:
        health.add('tags', [f'{path} names no image; add one entry per image'])
    note_tagged(health, seen, source=path)
    return seen


def noting_problems(health: Health, kind: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Go through rows until one cannot be read, which is noted."""
    try:
        yield from rows
    except ValueError as error:
        health.add(kind, [str(error)])


def note_tagged(
    health: Health, tags: Mapping[str, Sequence[str]], *, source: object
) -> None:
    """Note how many images have a tag; that none has one is a problem."""
    total, tagged = len(tags), sum(map(bool, tags.values()))
    if total and not tagged:
        problem = f'{source}: none of {total} images has a tag: nothing to learn from'
        health.add('tags', [problem])
    elif 'tags' not in health.problems:
        without = f', {total - tagged} of them none' if tagged < total else ''
        health.facts.append(f'{total} images with tags in {source}{without}')


def check_each_tag(
    dataset: ImageLabelDataset, health: Health, *, names: dict[str, str]
) -> Tags:
    """Read the tags of every image from its own file."""
    folder, known = dataset._tag_path(), dataset.foreground
    tags: Tags = {}
    for image_id, name in names.items():
        stem = os.path.splitext(name)[0]
        if dataset.tag_source == 'xml':
            read = partial(
                tags_from_xml, folder, [stem], known, ignored=dataset._ignored()
            )
        else:
            paths = {image_id: file_of_image(folder, name, '.png')}
            read = partial(tags_from_masks, paths, dataset._mask_classes()[1:])
        found: Tags = health.attempt('tags', read) or {}
        tags |= dict.fromkeys(found and [image_id], next(iter(found.values()), ()))
    if 'tags' not in health.problems:
        note_tagged(health, tags, source=folder)
    return tags


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
    tags: Mapping[str, Sequence[str]] | None,
    workers: int,
    all_masks: bool,
    beside: Sequence[ImageLabelDataset],
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
    values: Any = 0
    for kind, message, found in map_ordered(read, list(names.values()), workers):
        counts[kind] += 1
        values = values + found
        if kind == 'missing' and all_masks:
            health.add('masks', [message])
        elif kind not in ('ok', 'missing'):
            health.add(kind, [message])
    images = dataset.data_prefix['img_path']
    note_links(health, 'images', [os.path.join(images, one) for one in names.values()])
    if folder is None:
        if 'unreadable' not in health.problems:
            health.facts.append('all of them can be read')
        return
    health.facts.append(
        f'{counts["ok"]} of them can be read and have a mask of their size in {folder}'
    )
    masks = [file_of_image(folder, name, '.png') for name in names.values()]
    note_links(health, 'masks', [path for path in masks if os.path.isfile(path)])
    if counts['ok'] and counts['ok'] + counts['missing'] == len(names):
        expected = None if tags is None else set().union(*tags.values())
        classes = dataset._mask_classes()
        suspicious, none = classes_drawn_as_ignored(values, classes, expected=expected)
        text = [f'{folder}: {suspicious}'] if suspicious else []
        health.add('values' if none else 'absent', text)
    used = set().union(*(ids_of(one) for one in (dataset, *beside)))
    strays = stray_masks(Path(folder), Path(images), used | ids_beside(dataset))
    health.add('strays', [f'{path} belongs to no image' for path in strays])


def note_links(health: Health, kind: str, paths: Sequence[str]) -> None:
    """Note files that are links, and those that are one file under several names."""
    links = [path for path in paths if os.path.islink(path)]
    if links:
        health.facts.append(
            f'{len(links)} of the {kind} are symbolic links, such as {links[0]}'
        )
    first: dict[str, str] = {}
    for path in paths:
        real = os.path.realpath(path)
        if first.setdefault(real, path) != path:
            health.add('links', [f'{path} and {first[real]} are one file, {real}'])


def check_pair(
    name: str, *, images: str, masks: str | None, num_classes: int
) -> tuple[str, str, Any]:
    """Read one image and its mask.

    Returns:
        The kind of what is wrong, ``'ok'`` if nothing is; the message; and, with a mask
        that is in order, the pixels of each of its values, shape (256,), else 0.
    """
    try:
        size = read_rgb(os.path.join(images, name)).shape[:2]
    except ValueError as error:
        return 'unreadable', str(error), 0
    if masks is None:
        return 'ok', '', 0
    path = file_of_image(masks, name, '.png')
    if os.path.islink(path) and not os.path.exists(path):
        return 'masks', f'{path} is a link to a file that is not there', 0
    if not os.path.isfile(path):
        return 'missing', f'no mask {path}', 0
    try:
        mask = load_mask(path, num_classes=num_classes)
    except ValueError as error:
        return 'masks', str(error), 0
    if mask.shape != size:
        text = (
            f'{path} is {mask.shape[0]}x{mask.shape[1]} (height x width), its image '
            f'{size[0]}x{size[1]}'
        )
        return 'sizes', text, 0
    return 'ok', '', count_values(mask)
