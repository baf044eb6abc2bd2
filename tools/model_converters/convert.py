"""Rename released weights for our models, or a model of ours for the released code.

The result loads whole, or only its backbone through
init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.').
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from wsss_mm.cli.command_line import readable_errors
from wsss_mm.convert.checkpoint_keys import LAYOUTS
from wsss_mm.convert.released_file import (
    REFERENCE_LAYOUTS,
    convert_released,
    report,
    to_released,
)
from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.weights import read_state_dict


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one checkpoint."""
    args = parse_args(argv)
    with readable_errors():
        if args.to_reference:
            try:
                contents = to_released(read_state_dict(args.source), args.to_reference)
            except ValueError as error:
                message = str(error).removeprefix(f'{args.source}: ')
                raise InputError(f'{args.source}: {message}') from error
            print(f'kind: {args.to_reference}\nwritten: {len(contents)} tensors')
        else:
            kind = None if args.kind == 'auto' else args.kind
            conversion = convert_released(args.source, kind)
            print(report(conversion))
            contents = {'state_dict': conversion.state, 'meta': {}}
        with atomic_write(args.target) as path:
            torch.save(contents, path)
    print(args.target)


if __name__ == '__main__':
    main()
