"""Turn a CAM network and image tags into CAM files and pseudo masks.

CAM files go to OUT/cams, the masks of the CAMs alone to OUT/masks. A chain of refiners
(--refine rw+crf) writes its own to OUT/masks_rw_crf. Images that are done are not made
again.
"""

import argparse
import os

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.apis.generate import GeneratedCAMs, generate_cams
from wsss_mm.apis.masks import (
    WrittenFiles,
    check_refinement,
    refine_masks,
    report_failures,
    write_seed_scores,
)
from wsss_mm.cli.command_line import (
    add_amp,
    add_config_options,
    add_launcher,
    config_options,
    set_local_rank,
    threshold_option,
)
from wsss_mm.cli.refine import add_chain_options
from wsss_mm.engine.hooks.pseudo_label_hook import MASK_FOLDER
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.folders import SEED_FOLDER
from wsss_mm.workflow.kept_files import noted_threshold

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
    refinement = parser.add_argument_group('refinement')
    refinement.add_argument(
        '--refine',
        default='none',
        help="chain of the config's `refine`: crf, rw, rw+crf, pamr (default: none)",
    )
    refinement.add_argument(
        '--seed-scores',
        action='store_true',
        help=f'write {SEED_FOLDER}/, which the affinity network learns from',
    )
    add_chain_options(refinement)


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
        '--split',
        help='list file of images, from the current folder or else the data root '
        "(default: the training data's list)",
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='redo images that are done'
    )
    parser.add_argument('--work-dir', help='folder of the log')
    add_amp(parser)
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count(),
        help='processes for dense CRF on a machine, 0 for none (default: one a CPU)',
    )
    add_config_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Write CAM files and masks, and what else was asked for."""
    set_local_rank(args)
    options, refines = config_options(args), args.refine != 'none'
    if args.no_cams and (refines or args.seed_scores):
        raise InputError('--no-cams leaves nothing to refine: leave one of them out')
    out = check_refinement(
        args.config,
        args.out or args.work_dir,
        chain=args.refine,
        affinity=args.affinity,
        seed_scores=args.seed_scores,
        options=options,
    )
    threshold = args.threshold
    if threshold is None and (args.seed_scores or refines):
        # The CAMs' masks are not asked for then: those that are there stay.
        threshold = noted_threshold(out / MASK_FOLDER)
    common = dict(
        split=args.split,
        overwrite=args.overwrite,
        options=options,
        launcher=args.launcher,
        workers=args.workers,
    )
    made = generate_cams(
        args.config,
        args.checkpoint,
        out=out,
        threshold=threshold,
        single_scale=args.single_scale,
        save_cams=not args.no_cams,
        work_dir=args.work_dir,
        amp=args.amp,
        **common,
    )
    written: list[GeneratedCAMs | WrittenFiles] = [made]
    if args.seed_scores:
        written.append(write_seed_scores(args.config, out, **common))
    if refines:
        written.append(
            refine_masks(
                args.config,
                out,
                chain=args.refine,
                affinity=args.affinity,
                keep_scores=args.keep_scores,
                ignore_margin=args.ignore_margin,
                amp=args.amp,
                **common,
            )
        )
    report_failures(written)
