"""Rename a released ResNet-38 checkpoint (SEAM, AffinityNet) for our models.

The result loads whole, or only its backbone through
init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.').
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from wsss_mm.engine.launch import readable_errors
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.checkpoint_keys import LAYOUTS, load_reference


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', type=Path, help='released .pth file')
    parser.add_argument('target', type=Path, help='file to write')
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        help='which released network it is; found from the tensor names if left out',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one checkpoint."""
    args = parse_args(argv)
    with readable_errors():
        state = load_reference(args.source, args.layout)
        with atomic_write(args.target) as path:
            torch.save({'state_dict': state, 'meta': {}}, path)
    print(f'{args.target}: {len(state)} tensors')


if __name__ == '__main__':
    main()
