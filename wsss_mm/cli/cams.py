"""Turn a CAM network and image tags into CAM files and pseudo masks.

CAM files go to OUT/cams, the masks of the CAMs alone to OUT/masks. Images that are done
are not made again.
"""

import argparse
import os

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.apis.generate import generate_cams
from wsss_mm.cli.command_line import (
    add_config_options,
    add_launcher,
    config_options,
    set_local_rank,
    threshold_option,
)

DESCRIPTION = 'write CAM files and pseudo masks of a dataset'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_source(parser)
    parser.add_argument(
        '--threshold',
        type=threshold_option,
        help=f'background threshold, or {AUTO}: chosen from the CAMs and images, '
        'without masks (default: from config)',
    )
    parser.add_argument(
        '--single-scale', action='store_true', help='one scale, no mirror: a quick look'
    )
    parser.add_argument('--no-cams', action='store_true', help='write masks only')


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add what names the network, the images and the folder."""
    parser.add_argument('config', help='config of the CAM network')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint, or work folder of its training; none for a network that '
        'needs no training',
    )
    parser.add_argument(
        '--out', help='folder for cams/ and masks/ (default: the work folder)'
    )
    parser.add_argument(
        '--split', help="list file of images (default: the training data's list)"
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='redo images that are done'
    )
    parser.add_argument('--work-dir', help='folder of the log')
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        help='processes for dense CRF on a machine, 0 for none (default: one a CPU)',
    )
    add_config_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Write CAM files and masks."""
    set_local_rank(args)
    generate_cams(
        args.config,
        args.checkpoint,
        out=args.out,
        split=args.split,
        threshold=args.threshold,
        single_scale=args.single_scale,
        save_cams=not args.no_cams,
        overwrite=args.overwrite,
        work_dir=args.work_dir,
        options=config_options(args),
        launcher=args.launcher,
        workers=args.workers,
    )
