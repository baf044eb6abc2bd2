"""Rebuild voc_mini, 738 small VOC images, from a folder of PASCAL VOC 2012.

VOC is what tools/dataset_converters/voc12.py prepares (data/VOCdevkit/VOC2012). Images
are resized to 320 pixels on the long side, bicubic, and saved as JPEG of quality 85;
masks likewise without interpolation. The lists are those beside this file; the masks of
the 207 images that only trainaug has are SBD's, and left out where they are missing.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from wsss_mm.cli.command_line import readable_errors
from wsss_mm.datasets import VOCImageLabelDataset
from wsss_mm.datasets.image_files import read_id_list
from wsss_mm.datasets.tags import tags_from_xml, write_tag_file
from wsss_mm.datasets.transforms.geometry import resize_bicubic, scaled_size
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask, save_mask
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import map_ordered

LISTS = Path(__file__).resolve().parent / 'voc_mini'
LONG_SIDE = 320
QUALITY = 85
MASKS = 'SegmentationClassAug'
METAINFO = VOCImageLabelDataset.METAINFO


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('voc', type=Path, help='folder VOC2012')
    parser.add_argument('out', type=Path, nargs='?', default=Path('data/voc_mini'))
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes'
    )
    return parser.parse_args(argv)


def find_mask(voc: Path, name: str) -> Path | None:
    """Find the mask of an image: VOC's own before SBD's."""
    for folder in ('SegmentationClass', MASKS):
        if (voc / folder / f'{name}.png').is_file():
            return voc / folder / f'{name}.png'
    return None


def write_image(name: str, *, voc: Path, out: Path) -> bool:
    """Write an image and its mask in small; return whether there is a mask."""
    image = read_rgb(voc / f'JPEGImages/{name}.jpg')
    shape = image.shape[:2]
    size = scaled_size(shape, LONG_SIDE / max(shape))
    with atomic_write(out / f'JPEGImages/{name}.jpg') as temporary:
        small = Image.fromarray(resize_bicubic(image, size))
        small.save(temporary, format='JPEG', quality=QUALITY)
    path = find_mask(voc, name)
    if path is None:
        return False
    mask = load_mask(path, num_classes=len(METAINFO['classes']))
    if mask.shape != shape:
        raise InputError(
            f'{path} is {mask.shape} (height, width), its image {shape}; get it again'
        )
    resized = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    save_mask(out / MASKS / f'{name}.png', np.array(resized), METAINFO['palette'])
    return True


def check_folders(args: argparse.Namespace) -> None:
    """Refuse what is not a folder of VOC, and to write into it."""
    for name in ('JPEGImages', 'Annotations', 'SegmentationClass'):
        if not (args.voc / name).is_dir():
            raise InputError(
                f'{args.voc} holds no folder {name}; give the folder VOC2012 that '
                'tools/dataset_converters/voc12.py prepares (data/VOCdevkit/VOC2012)'
            )
    if args.out.resolve() == args.voc.resolve():
        raise InputError(
            f'{args.out} is VOC itself, whose images would be overwritten; name '
            'another folder'
        )


def build(args: argparse.Namespace) -> None:
    """Write images, masks, tags and lists, the lists last."""
    check_folders(args)
    lists = {path.name: read_id_list(path) for path in sorted(LISTS.glob('*.txt'))}
    names = sorted(set().union(*lists.values()))
    tags = tags_from_xml(args.voc / 'Annotations', names, METAINFO['classes'][1:])
    write = partial(write_image, voc=args.voc, out=args.out)
    masked = dict(zip(names, map_ordered(write, names, args.workers)))
    scored = [*lists['train.txt'], *lists['val.txt']]
    missing = [name for name in scored if not masked[name]]
    if missing:
        raise InputError(
            f'{args.voc}/SegmentationClass lacks {missing[0]}.png and '
            f'{len(missing) - 1} more that figures are counted on; unpack VOC again'
        )
    write_tag_file(args.out / 'image_labels.csv', tags)
    for name, members in lists.items():
        with atomic_write(args.out / 'ImageSets/Segmentation' / name) as temporary:
            temporary.write_text(''.join(f'{member}\n' for member in members))
    print(
        f'{args.out}: {len(names)} images, {sum(masked.values())} masks, '
        + ', '.join(f'{name} {len(members)}' for name, members in lists.items())
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Rebuild the dataset where the command line says."""
    args = parse_args(argv)
    with readable_errors():
        build(args)


if __name__ == '__main__':
    main()
