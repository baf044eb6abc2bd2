"""Prepare PASCAL VOC 2012, with the additional images of SBD, for the VOC configs.

VOC is VOCtrainval_11-May-2012.tar, or a folder with VOCdevkit/VOC2012 in it; an archive
is unpacked to --out, a folder is prepared where it is. Then these are added:

  ImageSets/Segmentation/trainaug.txt  the 10,582 images that the field trains on
  image_labels.csv                     their tags and those of val, from Annotations
  SegmentationClassAug                 masks of trainaug and val, to evaluate with

trainaug and its masks come from SBD (benchmark.tgz or its folder). Without SBD, a list
of trainaug as other projects ship it (--trainaug train_aug.txt) is enough to train from
tags. What exists is kept: run it again after an interruption.
"""

import argparse
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss_mm.cli.command_line import readable_errors
from wsss_mm.convert.mat_file import read_struct_mask
from wsss_mm.datasets import VOCImageLabelDataset
from wsss_mm.datasets.image_files import read_id_list
from wsss_mm.datasets.tags import tags_from_xml, write_tag_file
from wsss_mm.io.archive import SourceFile, check_md5, find_files
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.mask_file import save_mask
from wsss_mm.utils.errors import InputError

VOC_MD5 = '6cd6e144f989b92b3379bac3b3de84fd'
SBD_MD5 = '82b4d87ceb2ed10f6038a1cba92111cb'
VOC_PAGE = 'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/'
SBD_PAGE = 'http://home.bharathh.info/pubs/codes/SBD/download.html'
COUNTS = {'train': 1464, 'val': 1449, 'trainaug': 10582}
FILES = {'JPEGImages': 17125, 'Annotations': 17125, 'SegmentationClass': 2913}
# Images of trainaug that show a class, in the order of the classes.
TAGGED = [
    *(590, 504, 705, 468, 714, 393, 1150, 1005, 1228, 267),
    *(613, 1188, 445, 492, 4155, 522, 300, 649, 503, 567),
]
IMAGE_ID = r'(?P<id>\d{4}_\d{6})'
VOC_FILES = (
    r'VOC2012/(?P<path>ImageSets/Segmentation/\w+\.txt'
    r'|(?:JPEGImages|Annotations|SegmentationClass)/\d{4}_\d{6}\.(?:jpg|xml|png))'
)
SBD_FILES = rf'dataset/(?:(?P<list>train|val)\.txt|cls/{IMAGE_ID}\.mat)'
OUT = Path('data/VOCdevkit/VOC2012')
LISTS = Path('ImageSets/Segmentation')
MASKS = Path('SegmentationClassAug')
CLASSES = VOCImageLabelDataset.METAINFO['classes']


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('voc', type=Path, help='VOCtrainval_11-May-2012.tar or folder')
    parser.add_argument('--sbd', type=Path, help='benchmark.tgz or its folder')
    parser.add_argument('--trainaug', type=Path, help='list to use instead of SBD')
    parser.add_argument(
        '--out',
        type=Path,
        default=OUT,
        help='where to unpack an archive (default: %(default)s)',
    )
    parser.add_argument(
        '--no-masks', action='store_true', help='leave SegmentationClassAug out'
    )
    return parser.parse_args(argv)


def report(done: int, what: str) -> None:
    """Say now and then how far it is."""
    if done % 2000 == 0:
        print(f'{done} {what}', flush=True)


def unpack_voc(archive: Path, out: Path) -> None:
    """Unpack the files of VOC that are needed; those of the right size are kept."""
    print(f'checking and unpacking {archive}', flush=True)
    check_md5(archive, VOC_MD5)
    for done, file in enumerate(find_files(archive, VOC_FILES), start=1):
        path = out / file.match['path']
        if not path.is_file() or path.stat().st_size != file.size:
            with atomic_write(path) as temporary:
                temporary.write_bytes(file.read())
        report(done, 'files of VOC')


def find_voc(folder: Path) -> Path:
    """Find VOC2012 in a folder that somebody unpacked."""
    for below in ('.', 'VOC2012', 'VOCdevkit/VOC2012'):
        if (folder / below / LISTS / 'train.txt').is_file():
            return (folder / below).resolve()
    raise InputError(
        f'{folder} holds no {LISTS}/train.txt, itself or in VOCdevkit/VOC2012; give '
        f'the folder that VOCtrainval_11-May-2012.tar of {VOC_PAGE} unpacks to'
    )


def check_voc(root: Path) -> None:
    """Refuse a folder of VOC that lacks files or lists.

    Raises:
        ValueError: If something is missing.
    """
    remedy = f'unpack VOCtrainval_11-May-2012.tar of {VOC_PAGE} again'
    for name, count in FILES.items():
        folder = root / name
        found = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
        if found < count:
            raise InputError(f'{folder} has {found} of {count} files; {remedy}')
    for name in ('train', 'val'):
        check_count(root / LISTS / f'{name}.txt', COUNTS[name])


def check_count(path: Path, count: int) -> list[str]:
    """Read a list; refuse another length than the official one."""
    ids = read_id_list(path)
    if len(ids) != count:
        raise InputError(f'{path} has {len(ids)} images instead of {count}; replace it')
    return ids


def read_sbd_mask(file: SourceFile) -> NDArray[np.uint8]:
    """Read the class mask of one of SBD's MATLAB files, shape (H, W)."""
    content = file.read()
    try:
        mask = read_struct_mask(
            content, file.where, variable='GTcls', field='Segmentation'
        )
        if mask.max() >= len(CLASSES):
            raise InputError(f'it has class {mask.max()}')
    except ValueError as error:
        reason = str(error).removeprefix(f'{file.where}: ')
        raise InputError(
            f'{file.where} holds no class mask ({reason}); get SBD again'
        ) from error
    return mask


def read_sbd(source: Path, root: Path, *, masks: bool) -> set[str]:
    """Read the images of SBD, and write the masks of those that VOC has none of.

    Returns:
        The ids of all images of SBD.
    """
    if source.is_file():
        print(f'checking and reading {source}', flush=True)
        check_md5(source, SBD_MD5)
    official = {*read_id_list(root / LISTS / 'train.txt')}
    official |= {*read_id_list(root / LISTS / 'val.txt')}
    ids: set[str] = set()
    for done, file in enumerate(find_files(source, SBD_FILES), start=1):
        if file.match['list']:
            ids |= set(file.read().decode('ascii', 'replace').split())
        elif masks and file.match['id'] not in official:
            write_sbd_mask(file, root)
        report(done, 'files of SBD')
    if not ids:
        raise InputError(
            f'{source} holds no dataset/train.txt and dataset/val.txt; give '
            f'benchmark.tgz of {SBD_PAGE} or the folder it unpacks to'
        )
    return ids


def write_sbd_mask(file: SourceFile, root: Path) -> None:
    """Write one of SBD's masks as PNG, unless it is there."""
    name = file.match['id']
    path = root / MASKS / f'{name}.png'
    if path.is_file():
        return
    mask = read_sbd_mask(file)
    with Image.open(root / f'JPEGImages/{name}.jpg') as image:
        width, height = image.size
    if mask.shape != (height, width):
        raise InputError(
            f'{file.where} is {mask.shape} (height, width), its image '
            f'{(height, width)}; get SBD again'
        )
    save_mask(path, mask, VOCImageLabelDataset.METAINFO['palette'])


def copy_official_masks(root: Path) -> None:
    """Put VOC's own masks of train and val beside those of SBD."""
    for split in ('train', 'val'):
        for name in read_id_list(root / LISTS / f'{split}.txt'):
            path = root / MASKS / f'{name}.png'
            if not path.is_file():
                with atomic_write(path) as temporary:
                    shutil.copyfile(root / f'SegmentationClass/{name}.png', temporary)


def list_trainaug(args: argparse.Namespace, root: Path) -> list[str]:
    """Find the images of trainaug: from SBD, a list that was given, or the one there.

    Raises:
        ValueError: If nothing names them, or they are not as many as they should be.
    """
    path = root / LISTS / 'trainaug.txt'
    if args.sbd is not None:
        ids = read_sbd(args.sbd, root, masks=not args.no_masks)
        ids |= set(read_id_list(root / LISTS / 'train.txt'))
        ids -= set(read_id_list(root / LISTS / 'val.txt'))
        if len(ids) != COUNTS['trainaug']:
            raise InputError(
                f'{args.sbd} and {root} make {len(ids)} images of trainaug instead of '
                f'{COUNTS["trainaug"]}; get SBD again from {SBD_PAGE}'
            )
        return sorted(ids)
    if args.trainaug is None and not path.is_file():
        raise InputError(
            f'nothing says which images {path} lists: add --sbd benchmark.tgz '
            f'({SBD_PAGE}), or --trainaug with the train_aug.txt of another project'
        )
    return sorted(check_count(args.trainaug or path, COUNTS['trainaug']))


def check_tags(tags: Mapping[str, Sequence[str]], trainaug: Sequence[str]) -> None:
    """Refuse tags that are not those everybody else trains from."""
    counts = Counter(name for image in trainaug for name in tags[image])
    for name, expected in zip(CLASSES[1:], TAGGED):
        if counts[name] != expected:
            raise InputError(
                f'{counts[name]} images of trainaug are tagged {name!r} instead of '
                f'{expected}: Annotations or the list are not the official ones'
            )


def check_sources(args: argparse.Namespace) -> None:
    """Refuse a source that is not there, before anything is unpacked."""
    for path, name, page in (
        (args.voc, 'VOCtrainval_11-May-2012.tar', VOC_PAGE),
        (args.sbd, 'benchmark.tgz', SBD_PAGE),
    ):
        if path is not None and not path.exists():
            raise InputError(
                f'no archive or folder {path}; get {name} from {page} and say where it '
                'is'
            )


def prepare(args: argparse.Namespace) -> Path:
    """Unpack, check and complete VOC; give its folder."""
    check_sources(args)
    if args.voc.is_dir():
        root = find_voc(args.voc)
    else:
        root = args.out
        unpack_voc(args.voc, root)
    check_voc(root)
    trainaug = list_trainaug(args, root)
    val = read_id_list(root / LISTS / 'val.txt')
    tags = tags_from_xml(root / 'Annotations', [*trainaug, *val], CLASSES[1:])
    check_tags(tags, trainaug)
    if not args.no_masks:
        copy_official_masks(root)
    write_tag_file(root / 'image_labels.csv', tags)
    with atomic_write(root / LISTS / 'trainaug.txt') as temporary:
        temporary.write_text(''.join(f'{name}\n' for name in trainaug))
    return root


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare what the command line names."""
    args = parse_args(argv)
    with readable_errors():
        root = prepare(args)
        masks = sum(1 for _ in (root / MASKS).glob('*.png'))
        images = ', '.join(f'{count} {name}' for name, count in COUNTS.items())
        print(f'{root} is ready: {images}; {masks} masks in {MASKS}')
        if root.resolve() != OUT.resolve():
            print(f'the configs look in {OUT}: make that a link to it')


if __name__ == '__main__':
    main()
