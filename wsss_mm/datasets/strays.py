"""Find the masks that belong to no image."""

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from wsss_mm.datasets.image_files import read_id_list, result_name
from wsss_mm.datasets.image_label_dataset import ImageLabelDataset
from wsss_mm.datasets.tags import read_rows
from wsss_mm.io.image_id import IMAGE_SUFFIXES, compose, normalise_id


def ids_of(dataset: ImageLabelDataset) -> set[str]:
    """Collect the names of the images of a dataset, as their masks have them."""
    with contextlib.suppress(ValueError):
        if dataset.ann_file:
            return {stem_of(one) for one in read_id_list(dataset.ann_file)}
        rows = read_rows(dataset._tag_path())
        return {stem_of(normalise_id(one, where='')) for one, _, _ in rows}
    return set()


def ids_beside(dataset: ImageLabelDataset) -> set[str]:
    """Collect the images of all lists in a list's folder: their masks may be here."""
    found: set[str] = set()
    lists = Path(dataset.ann_file).parent.glob('*.txt') if dataset.ann_file else ()
    for path in lists:
        with contextlib.suppress(ValueError):
            found |= {stem_of(one) for one in read_id_list(path)}
    return found


def stem_of(image_id: str) -> str:
    """Give an image's name without extension, which an id may have."""
    is_file = image_id.lower().endswith(IMAGE_SUFFIXES)
    return result_name(image_id) if is_file else compose(image_id)


def files_below(folder: Path) -> Iterator[str]:
    """List the files in a folder and all below it, links to folders followed once."""
    seen: set[str] = set()
    for parent, below, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield from (os.path.normpath(os.path.join(parent, file)) for file in files)


def stray_masks(masks: Path, images: Path, used: Collection[str]) -> Iterator[str]:
    """Find the masks that belong to no image.

    Args:
        masks: Folder of the masks.
        images: Folder of images; each of them may have a mask.
        used: Names of further images, without extension.
    """
    there = {result_name(os.path.relpath(path, images)) for path in files_below(images)}
    for path in sorted(files_below(masks)):
        stem = result_name(os.path.relpath(path, masks))
        is_mask = path.lower().endswith('.png')
        if is_mask and stem not in there and stem not in used:
            yield path
