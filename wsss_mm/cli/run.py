"""Run a whole method: tags, CAMs, refined pseudo masks, a segmenter, its figures.

Finished stages are skipped, an interrupted training is resumed.
"""

import argparse
import os

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.apis.pipeline import run_method
from wsss_mm.cli.command_line import parse_options, threshold_option

DESCRIPTION = 'run all the stages of a method: from tags to a segmenter'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help="config of the method's CAM network")
    parser.add_argument(
        '--segmenter',
        help='second stage: the NAME of <config>_NAME.py (default: the first DeepLab), '
        'or none, to end with the pseudo masks',
    )
    parser.add_argument('--work-dir', help='folder of everything (default: by config)')
    parser.add_argument(
        '--refine',
        nargs='+',
        metavar='CHAIN',
        help="chain of the config that makes the segmenter's masks, and more chains to "
        'compare with it (default: `default_refine` of the config, or rw_crf where '
        '<config>_affinity.py exists, else none)',
    )
    parser.add_argument(
        '--threshold',
        type=threshold_option,
        help=f'background threshold of the pseudo masks, or {AUTO} (default: config)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='for the CAM network'
    )
    parser.add_argument(
        '--affinity-options', nargs='+', default=[], help='for the affinity network'
    )
    parser.add_argument(
        '--segmenter-options', nargs='+', default=[], help='for the segmenter'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that refine'
    )
    parser.add_argument(
        '--gpus',
        type=int,
        default=1,
        help="of this machine; a config's batch_size is that of each (default: 1)",
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train and predict in mixed precision (needs a GPU)',
    )


def run(args: argparse.Namespace) -> None:
    """Run the method and print its figures."""
    results = run_method(
        args.config,
        work_dir=args.work_dir,
        segmenter=args.segmenter,
        chain=args.refine,
        threshold=args.threshold,
        options=parse_options(args.cfg_options),
        affinity_options=parse_options(args.affinity_options),
        segmenter_options=parse_options(args.segmenter_options),
        workers=args.workers,
        gpus=args.gpus,
        amp=args.amp,
    )
    for name, figures in results['stages'].items():
        print(f'{name}: mIoU {figures["mIoU"]:.2f} %')
