"""Show methods end to end on SynthVOC: tags, CAMs, pseudo masks, DeepLab, a report.

Beside them run the plain CAM baseline and the same DeepLab trained on true masks. All
networks start from one tag classifier, which stands in for ImageNet weights.
"""

import argparse
from pathlib import Path

from wsss_mm.workflow.demo import run_demo
from wsss_mm.workflow.demo_stages import METHODS

DESCRIPTION = 'show methods from tags to a report on generated images'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('--method', choices=[*METHODS, 'all'], default='seam')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))


def run(args: argparse.Namespace) -> None:
    """Run the demo and print its figures."""
    methods = tuple(METHODS) if args.method == 'all' else (args.method,)
    results = run_demo(args.work_dir, methods, seed=args.seed)
    for method, stages in results['methods'].items():
        for name, stage in stages.items():
            print(f'{method:12} {name:18} mIoU {stage["miou"]:5.1f} %')
    print(f'wrote {args.work_dir / "results.json"}, {args.work_dir / "report.html"}')
