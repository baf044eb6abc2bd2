"""Evaluate again what a metafile states, and fail where the figures differ.

Needs what was evaluated: the folder that `wsss run` wrote, with the CAM files, masks or
checkpoints that the metafile names. Exit status: 0 if all figures are within their
tolerance, 1 if one is not, 2 if something is missing.
"""

import argparse
from pathlib import Path

from prettytable import PrettyTable

from wsss_mm.cli.command_line import parse_options
from wsss_mm.workflow.verify import select_checks, verify_check

DESCRIPTION = 'evaluate again what a metafile states'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('metafile', help='metafile.yml of a method')
    parser.add_argument('--name', help='one model of it (default: all)')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help="folder of the model's results (default: work_dirs/<name>)",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        help='override values of the configs: key=value, as where the data are',
    )
    parser.add_argument(
        '--configs',
        type=Path,
        help='folder whose configs may be run, besides those that we ship: they are '
        'code, and the metafile names them',
    )


def run(args: argparse.Namespace) -> int:
    """Verify what was asked for; return the exit status."""
    table = PrettyTable(
        ['Model', 'Task', 'Figure', 'Stated', 'Found', 'Tolerance', 'Verdict']
    )
    table.align = 'l'
    options = parse_options(args.cfg_options)
    one_model = args.work_dir is not None
    everything_fits = True
    for check in select_checks(args.metafile, args.name, one_model=one_model):
        folder = args.work_dir or Path('work_dirs') / check.model
        print(f'{check.model}: {check.task}', flush=True)
        for one in verify_check(check, folder, options=options, configs=args.configs):
            numbers = (one.stated, one.found, check.tolerance)
            table.add_row(
                [check.model, check.task, one.key]
                + [f'{number:.2f}' for number in numbers]
                + ['ok' if one.fits else 'DIFFERS']
            )
            everything_fits = everything_fits and one.fits
    print(table)
    return int(not everything_fits)
