"""Evaluate a checkpoint on its config's test split."""

import argparse

from wsss_mm.apis.train import evaluate_checkpoint
from wsss_mm.cli.command_line import (
    add_amp,
    add_config_options,
    add_launcher,
    config_options,
    set_local_rank,
)

DESCRIPTION = 'evaluate a checkpoint on the test split of its config'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('config', help='config file, or the name of one we ship')
    parser.add_argument('checkpoint', help='checkpoint, or work folder of a training')
    parser.add_argument('--work-dir', help='folder of the log and the metrics')
    parser.add_argument(
        '--tta', action='store_true', help='several scales and mirrors, as in papers'
    )
    parser.add_argument('--out', help='folder for the predicted masks')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    add_amp(parser)
    add_config_options(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Test."""
    set_local_rank(args)
    evaluate_checkpoint(
        args.config,
        args.checkpoint,
        work_dir=args.work_dir,
        tta=args.tta,
        out=args.out,
        show_dir=args.show_dir,
        amp=args.amp,
        options=config_options(args),
        launcher=args.launcher,
    )
