"""Write the HTML report of what `wsss run` made.

It shows the figures of every stage, the threshold curve, and CAMs and masks of some
images, in one file that needs no other.
"""

import argparse
from pathlib import Path

from wsss_mm.workflow.run_report import write_run_report

DESCRIPTION = 'write the HTML report of what `wsss run` made'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('work_dir', type=Path, help='work folder of `wsss run`')
    parser.add_argument(
        '--out', type=Path, help='the file (default: report.html in the work folder)'
    )
    parser.add_argument(
        '--pictures', type=int, default=8, help='images to show (default: 8)'
    )


def run(args: argparse.Namespace) -> None:
    """Write the report and print where it is."""
    path = write_run_report(args.work_dir, out=args.out, pictures=args.pictures)
    print(f'wrote {path}')
