"""Evaluate again what a metafile states, and fail where the figures differ.

Needs what was evaluated: the folder that tools/run_pipeline.py wrote, with the CAM
files, masks or checkpoints that the metafile names. Exit status: 0 if all figures are
within their tolerance, 1 if one is not, 2 if something is missing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import eval_masks
from mmengine.config import Config
from prettytable import PrettyTable
from run_pipeline import images_of, masks_of

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.cli.command_line import parse_options, readable_errors
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.metafile import Check, read_checks

TOOLS = Path(__file__).resolve().parent
# Values are written with few digits; a tolerance of 0 means: the same digits.
ROUNDING = 1e-9


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    return parser.parse_args(argv)


def select(args: argparse.Namespace) -> list[Check]:
    """List the checks that were asked for."""
    checks = read_checks(args.metafile)
    if args.name is not None and args.name not in checks:
        raise InputError(
            f'{args.metafile} has no model {args.name}; there are {", ".join(checks)}'
        )
    names = list(checks) if args.name is None else [args.name]
    found = [check for name in names for check in checks[name]]
    if not found:
        raise InputError(f'{args.metafile}: no Verify entry for {", ".join(names)}')
    if args.work_dir is not None and len({check.model for check in found}) > 1:
        raise InputError('--work-dir is the folder of one model: add --name')
    return found


def masks_command(check: Check, cfg: Config, folder: Path) -> list[str]:
    """Arguments of tools/eval_masks.py for a folder of CAM files or masks."""
    truth = masks_of(cfg)
    if truth is None:
        raise InputError(
            f'{check.config} has no true masks (val_dataloader.dataset.data_prefix.'
            'seg_map_path) to verify against'
        )
    if not truth[1].is_file():
        raise InputError(
            f'no list {truth[1]}: make the data with tools/dataset_converters, or say '
            'where they are with --cfg-options val_dataloader.dataset.data_root=...'
        )
    command = [str(folder / str(check.predictions)), str(truth[0])]
    command += ['--list', str(truth[1]), '--classes', str(cfg.num_classes)]
    if check.threshold is not None:
        command += ['--threshold', str(check.threshold)]
    if check.threshold == AUTO:
        command += ['--images', str(images_of(cfg))]
    return [*command, '--curve'] if check.needs_curve else command


def evaluate(check: Check, folder: Path, options: list[str]) -> dict:
    """Evaluate what a check is about; give the figures."""
    source = folder / str(check.predictions or check.checkpoint)
    if not source.exists():
        raise InputError(
            f'no {source}: make it as the Recipe of {check.model} says, or name the '
            'folder it is in with --work-dir'
        )
    cfg = load_config(check.config, parse_options(options))
    with tempfile.TemporaryDirectory() as scratch:
        figures = Path(scratch) / 'figures.json'
        if check.predictions is not None:
            command = masks_command(check, cfg, folder)
            eval_masks.main([*command, '--json', str(figures)])
        else:
            metric = 'test_evaluator' + '.0' * isinstance(cfg.test_evaluator, list)
            command = [str(TOOLS / 'test.py'), check.config]
            command += [str(source), '--work-dir', scratch]
            command += ['--tta'] if check.tta else []
            command += ['--cfg-options', *options, f'{metric}.output_json={figures}']
            done = subprocess.run([sys.executable, *command])
            if done.returncode or not figures.is_file():
                raise InputError(f'{check.model}: tools/test.py failed, see above')
        return json.loads(figures.read_text())


def compare(check: Check, figures: dict, table: PrettyTable) -> bool:
    """Add a row for each stated figure; tell whether all are met."""
    met = True
    for key, stated in check.values.items():
        if key not in figures:
            raise InputError(
                f'{check.model}, {check.task}: the evaluation gives no {key}; it has '
                f'{", ".join(k for k in figures if k not in ("classes", "curve"))}'
            )
        off = abs(figures[key] - stated)
        fits = off <= check.tolerance + ROUNDING
        met = met and fits
        values = [f'{value:.2f}' for value in (stated, figures[key], check.tolerance)]
        verdict = 'ok' if fits else 'DIFFERS'
        table.add_row([check.model, check.task, key, *values, verdict])
    return met


def main(argv: Sequence[str] | None = None) -> int:
    """Verify what was asked for; return the exit status."""
    args = parse_args(argv)
    table = PrettyTable(
        ['Model', 'Task', 'Figure', 'Stated', 'Found', 'Tolerance', 'Verdict']
    )
    table.align = 'l'
    with readable_errors():
        results = []
        for check in select(args):
            folder = args.work_dir or Path('work_dirs') / check.model
            print(f'{check.model}: {check.task}', flush=True)
            results.append(
                compare(check, evaluate(check, folder, args.cfg_options), table)
            )
    print(table)
    return int(not all(results))


if __name__ == '__main__':
    sys.exit(main())
