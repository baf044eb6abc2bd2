"""Rename released weights for our models, or a model of ours for the released code.

The result loads whole, or only its backbone through
init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.').
"""

import argparse
from pathlib import Path

from wsss_mm.convert.checkpoint_keys import LAYOUTS
from wsss_mm.convert.released_file import REFERENCE_LAYOUTS
from wsss_mm.workflow.conversion import convert_file, halve_file

DESCRIPTION = 'rename released weights for our models, or ours for the released code'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        'source', type=Path, help='.pth, MXNet .params or .caffemodel file'
    )
    parser.add_argument('target', type=Path, help='file to write')
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        '--kind',
        default='auto',
        choices=['auto', *LAYOUTS],
        metavar='KIND',
        help='which released network it is, by default found from its content; one '
        f'of {", ".join(LAYOUTS)}',
    )
    direction.add_argument(
        '--to-reference',
        choices=REFERENCE_LAYOUTS,
        metavar='KIND',
        help='write a checkpoint of ours for the released code of one of '
        f'{", ".join(REFERENCE_LAYOUTS)}',
    )
    direction.add_argument(
        '--half',
        action='store_true',
        help='write the weights of a checkpoint of ours in 16 bits, to be released',
    )


def run(args: argparse.Namespace) -> None:
    """Convert one checkpoint and print what was done with its tensors."""
    kind = None if args.kind == 'auto' else args.kind
    if args.half:
        print(halve_file(args.source, args.target))
    else:
        print(
            convert_file(
                args.source, args.target, kind=kind, to_reference=args.to_reference
            )
        )
    print(args.target)
