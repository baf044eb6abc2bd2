"""Score a folder of masks or CAM files against a folder of ground truth masks.

No model is needed. Masks are palette or grey PNG files, CAMs the `.npz` files of
`wsss cams`; the first name of the list decides which of the two are read.
"""

import argparse
import os
from pathlib import Path

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.apis.evaluate import evaluate_masks
from wsss_mm.cli.command_line import threshold_option
from wsss_mm.datasets import (
    COCOImageLabelDataset,
    SynthVOCDataset,
    VOCImageLabelDataset,
)
from wsss_mm.evaluation import format_figures, summary_table, write_json
from wsss_mm.io.limits import MOST_NOTE_BYTES, lines_of, read_text
from wsss_mm.utils.errors import InputError
from wsss_mm.visualization import save_curve

DESCRIPTION = 'score a folder of masks or CAM files against true masks'
DATASETS = {
    'voc': VOCImageLabelDataset,
    'coco': COCOImageLabelDataset,
    'synth_voc': SynthVOCDataset,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('predictions', type=Path, help='folder of .png or .npz files')
    parser.add_argument('ground_truth', type=Path, help='folder of .png masks')
    parser.add_argument(
        '--list', type=Path, required=True, help='file with one image name a line'
    )
    classes = parser.add_mutually_exclusive_group(required=True)
    classes.add_argument(
        '--classes', type=int, help='number of classes, with the background'
    )
    classes.add_argument(
        '--names', type=Path, help='file with one class name a line, background first'
    )
    classes.add_argument('--dataset', choices=list(DATASETS))
    parser.add_argument(
        '--threshold',
        type=threshold_option,
        help=f'background threshold that CAMs are scored at, or {AUTO}: the one chosen '
        'for the masks beside them, or one chosen from the CAMs and --images, without '
        'the ground truth',
    )
    parser.add_argument('--images', type=Path, help=f'images, for --threshold {AUTO}')
    parser.add_argument(
        '--curve',
        action='store_true',
        help='score CAMs at every threshold from 0.00 to 0.59, in one pass',
    )
    parser.add_argument('--json', type=Path, help='write all figures to this file')
    parser.add_argument('--plot', type=Path, help='draw the curve into this PNG file')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes'
    )


def read_names(path: Path) -> list[str]:
    """Read one class name per line.

    Raises:
        InputError: If the file cannot be read or a name occurs twice.
    """
    try:
        text = read_text(path, most=MOST_NOTE_BYTES, kind='a list of class names')
    except FileNotFoundError as error:
        raise InputError(f'no class names {path}; write one a line') from error
    lines = (line.strip(' \t\r\n') for line in lines_of(text))
    names = [line for line in lines if line]
    if len(set(names)) < len(names):
        raise InputError(f'{path} names a class twice; every name must be unique')
    return names


def class_names(args: argparse.Namespace) -> list[str]:
    """Find the class names, background first, from whichever option was given."""
    if args.names is not None:
        return read_names(args.names)
    if args.classes is not None:
        return ['background', *(f'class {i}' for i in range(1, args.classes))]
    return list(DATASETS[args.dataset].METAINFO['classes'])


def run(args: argparse.Namespace) -> None:
    """Score, print, and write what was asked for."""
    if args.plot is not None and not args.curve:
        raise InputError('--plot draws the threshold curve: add --curve')
    summary = evaluate_masks(
        args.predictions,
        args.ground_truth,
        names=args.list,
        classes=class_names(args),
        threshold=args.threshold,
        curve=args.curve,
        images=args.images,
        workers=args.workers,
    )
    print(summary_table(summary))
    print(format_figures(summary))
    if args.json is not None:
        write_json(args.json, summary)
    if args.plot is not None:
        save_curve(args.plot, {args.predictions.name: summary['curve']})
