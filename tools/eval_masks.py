"""Score a folder of masks or CAM files against a folder of ground truth masks.

No model is needed. Masks are palette or grey PNG files, CAMs the `.npz` files of
tools/gen_pseudo.py; the first name of the list decides which of the two are read.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from wsss_mm.apis.background_threshold import (
    AUTO,
    choose_from_files,
)
from wsss_mm.cli.command_line import readable_errors, threshold_option
from wsss_mm.datasets import (
    COCOImageLabelDataset,
    SynthVOCDataset,
    VOCImageLabelDataset,
)
from wsss_mm.datasets.image_files import IMAGE_SUFFIXES, ImageFolder, read_id_list
from wsss_mm.evaluation import (
    THRESHOLDS,
    class_table,
    format_figures,
    score_curve,
    summarize,
    write_json,
)
from wsss_mm.functional import (
    confusion_counts,
    threshold_curve,
    threshold_histogram,
)
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.refinement import SeedFiles
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import map_ordered
from wsss_mm.visualization import save_curve

IMAGES_PER_TASK = 16
DATASETS = {
    'voc': VOCImageLabelDataset,
    'coco': COCOImageLabelDataset,
    'synth_voc': SynthVOCDataset,
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
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
        help=f'background threshold that CAMs are scored at, or {AUTO}: chosen from '
        'the CAMs and --images, without the ground truth',
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
    return parser.parse_args(argv)


def read_names(path: Path) -> list[str]:
    """Read one class name per line."""
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'cannot read the class names {path}: {error}') from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(set(names)) < len(names):
        raise InputError(f'{path} names a class twice; every name must be unique')
    return names


def class_names(args: argparse.Namespace) -> list[str]:
    """Find the class names, background first, from whichever option was given."""
    if args.names is not None:
        names = read_names(args.names)
    elif args.classes is not None:
        names = ['background', *(f'class {i}' for i in range(1, args.classes))]
    else:
        names = list(DATASETS[args.dataset].METAINFO['classes'])
    if not 2 <= len(names) <= 255:
        raise InputError(
            f'{len(names)} classes: give 2 to 255, counting the background'
        )
    return names


def locate(folder: Path, name: str, kind: str) -> Path:
    """Give the file of an image; the id may carry the extension of the image."""
    path = folder / f'{name}{kind}'
    stem, suffix = os.path.splitext(name)
    if suffix.lower() in IMAGE_SUFFIXES and not path.is_file():
        return folder / f'{stem}{kind}'
    return path


def find_kind(folder: Path, name: str) -> str:
    """Tell from the first name whether a folder holds CAM files or masks."""
    for kind in ('.npz', '.png'):
        if locate(folder, name, kind).is_file():
            return kind
    raise InputError(
        f'no prediction {folder / name}.npz or .png; give the folder that '
        'tools/gen_pseudo.py or tools/test.py wrote for this list'
    )


def count_images(
    names: Sequence[str],
    *,
    predictions: Path,
    ground_truth: Path,
    kind: str,
    num_classes: int,
    thresholds: Sequence[float],
) -> np.ndarray:
    """Count the pixels of some images.

    Returns:
        For masks the confusion, shape (K, K); for CAMs the threshold histogram,
        shape (T + 1, K, K).
    """
    total: Any = 0
    for name in names:
        path = locate(predictions, name, kind)
        gt_path = locate(ground_truth, name, '.png')
        gt = load_mask(gt_path, num_classes=num_classes)
        if kind == '.npz':
            classes, maps = load_cam(path, num_classes=num_classes - 1)
            size = maps.shape[1:]
        else:
            mask = load_mask(path, num_classes=num_classes)
            size = mask.shape
        if size != gt.shape:
            raise InputError(
                f'{path} is {size[0]}x{size[1]} (height x width), its ground truth '
                f'{gt_path} {gt.shape[0]}x{gt.shape[1]}: predict at the size of the '
                'original image'
            )
        try:
            if kind == '.npz':
                total += threshold_histogram(
                    maps, classes, gt, num_classes=num_classes, thresholds=thresholds
                )
            else:
                total += confusion_counts(mask, gt, num_classes)
        except ValueError as error:
            raise InputError(f'{path}: {error}') from error
    return total


def count_all(names: Sequence[str], count: Any, workers: int) -> np.ndarray:
    """Sum the counts of all images over worker processes."""
    tasks = [
        names[i : i + IMAGES_PER_TASK] for i in range(0, len(names), IMAGES_PER_TASK)
    ]
    return reduce(add, map_ordered(count, tasks, workers))


def check_options(args: argparse.Namespace, kind: str) -> None:
    """Refuse options that do not fit what the folder holds."""
    if kind == '.npz' and args.threshold is None and not args.curve:
        raise InputError(
            f'{args.predictions} holds CAM files: add --curve, or --threshold 0.26 '
            'or whichever background threshold the masks shall have'
        )
    if kind == '.png' and (args.curve or args.threshold is not None):
        raise InputError(
            f'{args.predictions} holds masks, which have no threshold any more: leave '
            '--curve and --threshold out, or give the folder of the CAM files'
        )
    if args.threshold == AUTO:
        if args.images is None:
            raise InputError(f'--threshold {AUTO} looks at the images: add --images')
    elif args.threshold is not None and not 0 <= args.threshold < 1:
        raise InputError(f'--threshold {args.threshold}: give a number in [0, 1)')
    if args.plot is not None and not args.curve:
        raise InputError('--plot draws the threshold curve: add --curve')


def automatic_threshold(args: argparse.Namespace, names: Sequence[str]) -> float:
    """Choose the threshold from CAMs and images of the list."""
    folder = ImageFolder(args.images)
    files = [
        SeedFiles(
            args.images / folder.find(name, source=args.list),
            locate(args.predictions, name, '.npz'),
        )
        for name in names
    ]
    return choose_from_files(files, workers=args.workers)


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Count and score every image of the list; print the class table."""
    classes = class_names(args)
    names = read_id_list(args.list)
    kind = find_kind(args.predictions, names[0])
    check_options(args, kind)
    automatic = args.threshold == AUTO
    if automatic:
        args.threshold = automatic_threshold(args, names)
    fixed = () if args.threshold is None else (args.threshold,)
    thresholds = sorted({*(THRESHOLDS if args.curve else ()), *fixed})
    count = partial(
        count_images,
        predictions=args.predictions,
        ground_truth=args.ground_truth,
        kind=kind,
        num_classes=len(classes),
        thresholds=thresholds,
    )
    counts = count_all(names, count, args.workers)
    if kind == '.png':
        summary = summarize(counts, classes)
        print(class_table(counts, classes))
    else:
        summary = summarize_cams(counts, classes, thresholds, args)
    if automatic:
        summary['threshold_chosen'] = 'without ground truth'
    return {'images': len(names), **summary}


def summarize_cams(
    histogram: np.ndarray,
    classes: Sequence[str],
    thresholds: Sequence[float],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Score CAMs at the fixed threshold, over the curve, or both."""
    confusions = dict(zip(thresholds, threshold_curve(histogram)))
    curve = None
    if args.curve:
        points = score_curve(histogram, thresholds)
        curve = [point for point in points if point['threshold'] in THRESHOLDS]
    confusion = confusions.get(args.threshold)
    summary = summarize(confusion, classes, threshold=args.threshold, curve=curve)
    shown = summary['best_threshold'] if args.threshold is None else args.threshold
    print(f'per class at background threshold {shown:.2f}')
    print(class_table(confusions[shown], classes))
    return summary


def main(argv: Sequence[str] | None = None) -> None:
    """Score, print, and write what was asked for."""
    args = parse_args(argv)
    with readable_errors():
        summary = evaluate(args)
        print(format_figures(summary))
        if args.json is not None:
            write_json(args.json, summary)
        if args.plot is not None:
            save_curve(args.plot, {args.predictions.name: summary['curve']})


if __name__ == '__main__':
    main()
