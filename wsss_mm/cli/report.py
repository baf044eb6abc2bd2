"""Write the HTML report of what `wsss run` made.

It shows the figures of every stage, the threshold curve, the classes, and the CAMs and
masks of the images, those first that matter most. The pictures of many images lie in a
folder beside the page.
"""

import argparse
import os
from pathlib import Path

from wsss_mm.workflow.run_report import PICTURES, write_run_report

DESCRIPTION = 'write the HTML report of what `wsss run` made'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('work_dir', type=Path, help='work folder of `wsss run`')
    parser.add_argument(
        '--out', type=Path, help='the file (default: report.html in the work folder)'
    )
    parser.add_argument(
        '--pictures',
        type=int,
        default=PICTURES,
        help=f'images to show; 0 for none (default: {PICTURES})',
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that draw'
    )


def run(args: argparse.Namespace) -> None:
    """Write the report and print where it is."""
    path = write_run_report(
        args.work_dir, out=args.out, pictures=args.pictures, workers=args.workers
    )
    print(f'wrote {path}')
