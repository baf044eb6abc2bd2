"""Check this Python and a dataset, and say how to put right what is wrong.

Give a config to check its datasets and the weights it starts from, or a folder in the
layout of PASCAL VOC. Exit status: 0 fit, 1 something is broken, 2 wrong usage.
"""

import argparse
import os

from wsss_mm.workflow.environment import Report, check_environment

DESCRIPTION = 'check the installation and a dataset, and say how to put them right'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('target', nargs='?', help='config or dataset folder')
    parser.add_argument(
        '--tests', action='store_true', help='check what `make test` needs too'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes that read'
    )


def run(args: argparse.Namespace) -> int:
    """Check what was asked for; return the exit status."""
    report = Report(print, quiet=False)
    check_environment(report, tests=args.tests)
    if args.target and report.broken:
        report.section(f'{args.target} is not looked at before the environment works')
    elif args.target:
        # Not before it is known that all of it can be imported.
        from wsss_mm.workflow.doctor import check_target

        check_target(args.target, report, workers=args.workers)
    report.section(f'{report.broken} broken' if report.broken else 'nothing is broken')
    return int(report.broken > 0)
