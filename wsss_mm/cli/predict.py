"""CAMs or masks of images, without a dataset.

IMAGES are files, folders (with their sub-folders) or patterns such as '*.jpg'. Masks go
to OUT/masks, pictures to look at to OUT/pictures, and CAM files, of a CAM network, to
OUT/cams, each under the image's path below the folder that was named. With --formats
masks are also written for other programs; `wsss masks` reads them back once corrected.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from wsss_mm.apis.export import PLACES, MaskExport
from wsss_mm.apis.images import list_images
from wsss_mm.apis.inferencer import CAMInferencer, SegmentationInferencer
from wsss_mm.apis.results import CAMResult, SegmentationResult
from wsss_mm.cli.command_line import add_amp, add_config_options, config_options
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.launch import is_cam_network, load_config

DESCRIPTION = 'CAMs and masks of single images'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help='config of a CAM network or a segmenter')
    parser.add_argument('checkpoint', help='checkpoint, or work folder of a training')
    parser.add_argument(
        'images', nargs='+', help='files, folders and patterns such as "*.jpg"'
    )
    parser.add_argument('--out', type=Path, default=Path('predictions'), help='folder')
    parser.add_argument(
        '--formats',
        nargs='+',
        default=[],
        choices=list(PLACES),
        metavar='FORMAT',
        help=f'masks for other programs: {", ".join(PLACES)}',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='write over annotations of --formats'
    )
    parser.add_argument(
        '--tags', nargs='+', help='classes in all of these images, for a CAM network'
    )
    parser.add_argument('--refine', help='chain that makes the masks, such as crf')
    parser.add_argument(
        '--tta', action='store_true', help='several scales and mirrors, as in papers'
    )
    parser.add_argument('--device', help='such as cpu or cuda:0')
    add_amp(parser)
    add_config_options(parser)


def run(args: argparse.Namespace) -> None:
    """Predict the images, write what was found, and say where."""
    list_images(args.images)  # before a network is loaded
    export = MaskExport(args.out, args.formats, overwrite=args.overwrite)
    count = 0
    for result in results_of(args):
        result.save(args.out)
        export.add(result)
        count += 1
    print(f'wrote {count} masks to {args.out / "masks"}')
    print(f'  pictures to look at: {args.out / "pictures"}')
    if (args.out / 'cams').is_dir():
        print(f'  CAM files: {args.out / "cams"}')
    for name, place in export.close().items():
        print(f'  {name}: {place}')


def results_of(
    args: argparse.Namespace,
) -> Iterator[CAMResult] | Iterator[SegmentationResult]:
    """Predict the images with the network that the config names."""
    options = config_options(args)
    common = dict(
        multi_scale=args.tta, device=args.device, amp=args.amp, options=options
    )
    if is_cam_network(load_config(args.config, options)):
        cams = CAMInferencer(args.config, args.checkpoint, **common)
        return cams.iterate(args.images, tags=args.tags, refine=args.refine)
    if args.tags or args.refine:
        raise InputError('--tags and --refine are for a CAM network')
    segmenter = SegmentationInferencer(args.config, args.checkpoint, **common)
    return segmenter.iterate(args.images)
