"""CAMs or masks of images, without a dataset.

IMAGES are files, folders (with their sub-folders) or both. Masks go to OUT/masks,
pictures to look at to OUT/pictures, and CAM files, of a CAM network, to OUT/cams.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from wsss_mm.apis.inferencer import CAMInferencer, SegmentationInferencer
from wsss_mm.apis.results import CAMResult, SegmentationResult
from wsss_mm.cli.command_line import add_config_options, config_options
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.launch import is_cam_network, load_config

DESCRIPTION = 'CAMs and masks of single images'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help='config of a CAM network or a segmenter')
    parser.add_argument('checkpoint', help='checkpoint, or work folder of a training')
    parser.add_argument('images', nargs='+', type=Path, help='files and folders')
    parser.add_argument('--out', type=Path, default=Path('predictions'), help='folder')
    parser.add_argument(
        '--tags', nargs='+', help='classes in all of these images, for a CAM network'
    )
    parser.add_argument('--refine', help='chain that makes the masks, such as crf')
    parser.add_argument(
        '--tta', action='store_true', help='several scales and mirrors, as in papers'
    )
    parser.add_argument('--device', help='such as cpu or cuda:0')
    add_config_options(parser)


def run(args: argparse.Namespace) -> None:
    """Predict the images and write what was found."""
    count = 0
    for result in results_of(args):
        result.save(args.out)
        count += 1
    print(f'wrote {count} masks and pictures to {args.out}')


def results_of(
    args: argparse.Namespace,
) -> Iterator[CAMResult] | Iterator[SegmentationResult]:
    """Predict the images with the network that the config names."""
    options = config_options(args)
    common = dict(multi_scale=args.tta, device=args.device, options=options)
    if is_cam_network(load_config(args.config, options)):
        cams = CAMInferencer(args.config, args.checkpoint, **common)
        return cams.iterate(args.images, tags=args.tags, refine=args.refine)
    if args.tags or args.refine:
        raise InputError('--tags and --refine are for a CAM network')
    segmenter = SegmentationInferencer(args.config, args.checkpoint, **common)
    return segmenter.iterate(args.images)
