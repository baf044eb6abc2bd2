"""Prepare COCO in its own folder: lists, tags, and masks to evaluate with.

The folder holds what https://cocodataset.org/#download has as train2014.zip,
val2014.zip and annotations_trainval2014.zip, unpacked: train2014/, val2014/ and
annotations/instances_{train,val}2014.json; with --year 2017 those of 2017. Nothing of
it is changed. Run it again after an interruption; masks that are there are kept.
"""

import argparse
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wsss_mm.cli.command_line import readable_errors
from wsss_mm.datasets import COCOImageLabelDataset
from wsss_mm.datasets.coco import AnnotatedImage, draw_instances, read_instances
from wsss_mm.datasets.image_files import write_id_list
from wsss_mm.datasets.tags import in_class_order, write_tag_file
from wsss_mm.io.mask_file import save_mask
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import map_ordered

# Images with one object or more, which is what the field trains and tests on.
COUNTS = {
    2014: {'train': 82081, 'val': 40137},
    2017: {'train': 117266, 'val': 4952},
}
LISTS = Path('ImageSets/Segmentation')
MASKS = Path('SegmentationClass')
FOREGROUND = COCOImageLabelDataset.METAINFO['classes'][1:]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'folder', nargs='?', type=Path, default=Path('data/coco14'), help='%(default)s'
    )
    parser.add_argument(
        '--no-masks', action='store_true', help='lists and tags alone; no evaluation'
    )
    parser.add_argument(
        '--year', type=int, choices=COUNTS, default=2014, help='%(default)s'
    )
    parser.add_argument(
        '--partial', action='store_true', help='accept annotations of a part of COCO'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes'
    )
    return parser.parse_args(argv)


def read_split(
    folder: Path, split: str, *, year: int, partial_set: bool
) -> list[AnnotatedImage]:
    """Read the annotations of a split; all its images must be there.

    Raises:
        ValueError: If images are missing or their number is not COCO's.
    """
    source = folder / f'annotations/instances_{split}{year}.json'
    images = read_instances(source, FOREGROUND)
    whole = COUNTS[year][split]
    if len(images) != whole and not partial_set:
        raise InputError(
            f'{source} has {len(images)} images with objects, COCO {year} has '
            f'{whole}; get the file again, or add --partial if it is a part'
        )
    if not images:
        raise InputError(f'{source} has no image with an object; get the file again')
    place = folder / f'{split}{year}'
    there = set(os.listdir(place)) if place.is_dir() else set()
    missing = [image.name for image in images if image.name not in there]
    if missing:
        raise InputError(
            f'{place} lacks {len(missing)} of {len(images)} images, the first is '
            f'{missing[0]}; unpack {split}{year}.zip into {folder}'
        )
    return images


def stem(image: AnnotatedImage) -> str:
    """Give the id of an image: its name without the extension."""
    return os.path.splitext(image.name)[0]


def write_mask(image: AnnotatedImage, folder: Path) -> None:
    """Draw the mask of an image, unless it is there."""
    path = folder / f'{stem(image)}.png'
    if not path.is_file():
        mask = draw_instances(image, FOREGROUND)
        save_mask(path, mask, COCOImageLabelDataset.METAINFO['palette'])


def write_masks(images: Sequence[AnnotatedImage], folder: Path, workers: int) -> None:
    """Draw the masks of all images in processes, and say how far it is."""
    begin = time.time()
    written = map_ordered(partial(write_mask, folder=folder), images, workers)
    for done, _ in enumerate(written, start=1):
        if done % 5000 == 0 or done == len(images):
            print(
                f'{done}/{len(images)} masks, {time.time() - begin:.0f} s', flush=True
            )


def prepare(args: argparse.Namespace) -> None:
    """Write lists, tags and masks, the lists last."""
    splits = {
        split: read_split(args.folder, split, year=args.year, partial_set=args.partial)
        for split in COUNTS[args.year]
    }
    images = [image for split in splits.values() for image in split]
    if not args.no_masks:
        write_masks(images, args.folder / MASKS, args.workers)
    tags = {
        stem(image): in_class_order(image.names, FOREGROUND, where=image.name)
        for image in images
    }
    write_tag_file(args.folder / 'image_labels.csv', tags)
    for split, members in splits.items():
        path = args.folder / LISTS / f'{split}.txt'
        write_id_list(path, [stem(image) for image in members])
        print(f'{path}: {len(members)} images')


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare the folder that the command line names."""
    args = parse_args(argv)
    with readable_errors():
        prepare(args)


if __name__ == '__main__':
    main()
