"""Measure what the package does against the plain way, on this machine.

Each subcommand runs both sides in turn in the same run, so that a busy machine
slows both, prints a table and writes one JSON file:

  pixel_correlation   SEAM's pixel correlation without the N x N matrix, against the
                      same in plain PyTorch with it: seconds forward and forward +
                      backward, peak memory, relative error. At the default size,
                      test scale 2.0 of a 500 x 375 image, about a minute and 3 GB.
  random_walk         The random walk against squaring the transition matrix: seconds,
                      ratio, peak memory, relative error. About a minute.
  training_step       A training step on a CPU with freed memory kept, against given
                      back: seconds, peak memory, difference of the loss.
  dense_crf           Two dense CRFs of one image in separate calls, on one lattice
                      and filtered jointly; then a pool of processes against one.
  clip_es             CLIP-ES for one image of 1, 3 and 6 tags against its published
                      procedure: CPU seconds, ratio, peak memory, difference.
  weclip              WeCLIP's training step against its published procedure:
                      seconds, peak memory, difference of the loss. At the default
                      size two minutes and 3 GB.
  cam_inference       CAMs of an image at 4 scales with mirrors, against the loop of
                      released inference: seconds, peak memory, difference.
  threshold_curve     60 background thresholds of CAM files in one pass, against
                      reading all files again for each.

Set OMP_NUM_THREADS to choose the number of threads.
"""

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from benchmark_cam_inference import add_cam_inference
from benchmark_clip_es import add_clip_es
from benchmark_dense_crf import add_dense_crf
from benchmark_pixel_correlation import add_pixel_correlation
from benchmark_random_walk import add_random_walk
from benchmark_threshold_curve import add_threshold_curve
from benchmark_training_step import add_training_step
from benchmark_weclip import add_weclip


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    add_pixel_correlation(commands)
    add_random_walk(commands)
    add_training_step(commands)
    add_dense_crf(commands)
    add_clip_es(commands)
    add_weclip(commands)
    add_threshold_curve(commands)
    add_cam_inference(commands)
    return parser.parse_args(argv)


def describe_run(args: argparse.Namespace) -> dict[str, Any]:
    """Say what was measured, where and with what."""
    return {
        'benchmark': args.command,
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'commit': git('rev-parse', 'HEAD'),
        'uncommitted_changes': bool(git('status', '--porcelain', 'wsss_mm', 'tools')),
        'seed': args.seed,
        'machine': {
            'processor': processor(),
            'cores': os.cpu_count(),
            'threads': torch.get_num_threads(),
            'load_before': os.getloadavg(),
            'system': platform.platform(),
        },
        'python': platform.python_version(),
        'torch': torch.__version__,
    }


def git(*command: str) -> str | None:
    """Ask git about this checkout; None where there is none."""
    try:
        done = subprocess.run(
            ['git', *command],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def processor() -> str:
    """Name the processor."""
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor()


def show(report: dict[str, Any], indent: int = 0) -> None:
    """Print a nested report with rounded figures."""
    for key, value in report.items():
        if isinstance(value, dict):
            print(f'{"":{indent}}{key}')
            show(value, indent + 2)
        else:
            text = f'{value:.4g}' if isinstance(value, float) else value
            print(f'{"":{indent}}{key:<24} {text}')


def main(argv: Sequence[str] | None = None) -> None:
    """Run one subcommand."""
    # Not at the top: the measuring processes import this file and no framework.
    from wsss_mm.cli.command_line import readable_errors
    from wsss_mm.io.atomic import atomic_write

    args = parse_args(argv)
    with readable_errors():
        report = describe_run(args)
        # The file is opened first: a place that cannot be written costs no minute.
        with atomic_write(args.json) as temporary:
            report.update(args.run(args))
            temporary.write_text(json.dumps(report, indent=2) + '\n')
    show(report)


if __name__ == '__main__':
    main()
