"""Refine the CAM files of a folder into pseudo masks.

`wsss cams` wrote OUT/cams; the chain's masks go to OUT/masks_<chain>.
"""

import argparse
import os

from wsss_mm.apis.masks import refine_masks, report_failures
from wsss_mm.cli.command_line import (
    add_amp,
    add_config_options,
    add_launcher,
    config_options,
    set_local_rank,
)

DESCRIPTION = 'refine CAM files into pseudo masks'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help='config of the CAM network')
    parser.add_argument('out', help='folder that holds cams/')
    parser.add_argument(
        '--chain',
        required=True,
        help="chain of the config's `refine`: crf, rw, rw+crf, pamr",
    )
    parser.add_argument(
        '--split',
        help='list file of images, from the current folder or else the data root '
        "(default: the training data's list)",
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='redo images that are done'
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        help='processes for dense CRF on a machine, 0 for none (default: one a CPU)',
    )
    add_chain_options(parser)
    add_amp(parser)
    add_config_options(parser)
    add_launcher(parser)


def add_chain_options(parser: argparse._ActionsContainer) -> None:
    """Add what a chain needs, and what else is written."""
    parser.add_argument(
        '--affinity',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='affinity network that a random walk follows',
    )
    parser.add_argument(
        '--keep-scores',
        action='store_true',
        help='write the refined scores of the classes to cams_<chain>/',
    )
    parser.add_argument(
        '--ignore-margin',
        type=float,
        help='mark pixels as 255 whose best class leads by less than this',
    )


def run(args: argparse.Namespace) -> None:
    """Refine."""
    set_local_rank(args)
    written = refine_masks(
        args.config,
        args.out,
        chain=args.chain,
        affinity=args.affinity,
        split=args.split,
        keep_scores=args.keep_scores,
        ignore_margin=args.ignore_margin,
        overwrite=args.overwrite,
        amp=args.amp,
        options=config_options(args),
        launcher=args.launcher,
        workers=args.workers,
    )
    report_failures([written])
