"""Train any stage: a CAM network, an affinity network or a segmenter."""

import argparse

from wsss_mm.apis.train import train
from wsss_mm.cli.command_line import (
    add_config_options,
    add_launcher,
    config_options,
    set_local_rank,
)

DESCRIPTION = 'train a CAM network, an affinity network or a segmenter'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help='config file, or the name of one we ship')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the latest checkpoint'
    )
    parser.add_argument(
        '--resume-or-start',
        action='store_true',
        help='go on, or start anew if an earlier try ended before its first checkpoint',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (needs a GPU)'
    )
    add_config_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Train."""
    set_local_rank(args)
    train(
        args.config,
        work_dir=args.work_dir,
        resume=args.resume,
        resume_or_start=args.resume_or_start,
        amp=args.amp,
        options=config_options(args),
        launcher=args.launcher,
    )
