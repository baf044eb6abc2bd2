"""A threshold curve in one pass over the CAM files, against a pass a threshold."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wsss_mm.utils.errors import InputError


def add_threshold_curve(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'threshold_curve',
        help='60 thresholds in one pass, against a pass for each',
        description='Time of scoring CAMs at 60 background thresholds. The plain side '
        'does what released evaluations do: for each threshold it reads every CAM and '
        'mask again, takes the argmax and counts class by class. A round measures '
        'some of its passes, each a pass over all images, and counts 60 of them; the '
        'counts of the measured thresholds are compared.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument(
        '--data',
        type=Path,
        help='folder in the VOC layout, whose true masks are scored against; blobs '
        'are drawn where none is given',
    )
    parser.add_argument('--list', default='train', help='list of images of --data')
    parser.add_argument('--images', type=int, default=1464, help='at most')
    parser.add_argument('--classes', type=int, default=21, help='K of drawn masks')
    parser.add_argument('--passes', type=int, default=2, help='measured plain passes')
    parser.add_argument('--rounds', type=int, default=5, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='seed of the CAMs')
    parser.set_defaults(run=run_threshold_curve)


def run_threshold_curve(args: argparse.Namespace) -> dict[str, Any]:
    """Write the CAMs, then measure both sides in turn."""
    for name in ('images', 'passes', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    if not 2 <= args.classes <= 255:
        raise InputError(f'--classes must be in 2..255, got {args.classes}')
    with tempfile.TemporaryDirectory() as folder:
        truth, names = masks_of(args, Path(folder))
        write_cams(Path(folder), truth, names, args)
        return compare(Path(folder), truth, names, args)


def masks_of(args: argparse.Namespace, folder: Path) -> tuple[Path, list[str]]:
    """Give the folder of true masks and the images; drawn where no data is given."""
    if args.data is not None:
        from wsss_mm.datasets.image_files import read_id_list

        lists = args.data / 'ImageSets' / 'Segmentation'
        names = read_id_list(lists / f'{args.list}.txt')[: args.images]
        for kind in ('SegmentationClassAug', 'SegmentationClass'):
            if (args.data / kind).is_dir():
                return args.data / kind, names
        raise InputError(f'{args.data}: no folder SegmentationClass of true masks')
    rng = np.random.default_rng(args.seed)
    truth = folder / 'truth'
    truth.mkdir()
    names = [f'{number:06}' for number in range(args.images)]
    y, x = np.mgrid[:240, :320]
    for name in names:
        mask = np.zeros(y.shape, np.uint8)
        for label in rng.integers(1, args.classes, 2):
            v, u, r = rng.random(3) * (240, 320, 90)
            mask[np.hypot(y - v, x - u) < r] = label
        Image.fromarray(mask).save(truth / f'{name}.png')
    return truth, names


def write_cams(
    folder: Path, truth: Path, names: list[str], args: argparse.Namespace
) -> None:
    """Write noisy CAMs of the classes in each mask, for both sides the same values."""
    import cv2

    from wsss_mm.io.cam_file import load_cam, save_cam

    rng = np.random.default_rng(args.seed)
    for kind in ('cams', 'plain'):
        (folder / kind).mkdir()
    for name in names:
        mask = np.array(Image.open(truth / f'{name}.png'))
        labels = np.unique(mask[(mask > 0) & (mask < 255)]).astype(np.int64)
        size = mask.shape[::-1]
        noise = [
            cv2.resize(rng.random((8, 8)), size) * 0.6 + 0.4 * (mask == label)
            for label in labels
        ]
        maps = np.array(noise, np.float32).reshape(len(labels), *mask.shape)
        save_cam(folder / 'cams' / f'{name}.npz', labels - 1, maps)
        # What the files hold is half precision, so that is what both sides read.
        classes, maps = load_cam(folder / 'cams' / f'{name}.npz')
        np.save(folder / 'plain' / f'{name}_classes.npy', classes)
        np.save(folder / 'plain' / f'{name}.npy', maps)


def plain_pass(
    folder: Path, truth: Path, names: list[str], threshold: float, num_classes: int
) -> np.ndarray:
    """Count true positives, predictions and truths of each class, one a row."""
    counts = np.zeros((3, num_classes), np.int64)
    for name in names:
        maps = np.load(folder / f'{name}.npy')
        classes = np.load(folder / f'{name}_classes.npy')
        scores = np.zeros((num_classes, *maps.shape[1:]), np.float32)
        scores[0] = threshold
        scores[classes + 1] = maps
        found = scores.argmax(axis=0)
        true = np.array(Image.open(truth / f'{name}.png'))
        counted = true < 255
        hit = (found == true) & counted
        for label in range(num_classes):
            counts[0, label] += np.sum((true == label) & hit)
            counts[1, label] += np.sum((found == label) & counted)
            counts[2, label] += np.sum((true == label) & counted)
    return counts


def one_pass(
    folder: Path, truth: Path, names: list[str], thresholds: list[float], classes: int
) -> np.ndarray:
    """Count the confusions (T, K, K) at all thresholds."""
    from wsss_mm.apis.evaluate import count_all, count_images
    from wsss_mm.functional import threshold_curve

    def count(some: list[str]) -> np.ndarray:
        return count_images(
            some,
            predictions=folder,
            ground_truth=truth,
            kind='.npz',
            num_classes=classes,
            thresholds=thresholds,
        )

    return threshold_curve(count_all(names, count, 0))


def compare(
    folder: Path, truth: Path, names: list[str], args: argparse.Namespace
) -> dict[str, Any]:
    """Time both sides in turn and compare their counts."""
    from wsss_mm.evaluation import THRESHOLDS

    thresholds = list(THRESHOLDS)
    measured = thresholds[:: max(1, len(thresholds) // args.passes)][: args.passes]
    seconds: dict[str, list[float]] = {'plain_60_passes': [], 'one_pass': []}
    equal = True
    for _ in range(args.rounds):
        start = time.perf_counter()
        plain = [
            plain_pass(folder / 'plain', truth, names, threshold, args.classes)
            for threshold in measured
        ]
        each = (time.perf_counter() - start) / len(measured)
        seconds['plain_60_passes'].append(each * len(thresholds))
        start = time.perf_counter()
        confusions = one_pass(folder / 'cams', truth, names, thresholds, args.classes)
        seconds['one_pass'].append(time.perf_counter() - start)
        for threshold, counts in zip(measured, plain):
            confusion = confusions[thresholds.index(threshold)]
            ours = [np.diagonal(confusion), confusion.sum(0), confusion.sum(1)]
            equal = equal and bool((np.stack(ours) == counts).all())
    ratios = [a / b for a, b in zip(*seconds.values())]
    return {
        'setting': dict(
            images=len(names),
            thresholds=len(thresholds),
            measured_passes=len(measured),
            classes=args.classes,
            rounds=args.rounds,
            data='drawn' if args.data is None else args.data.name,
        ),
        'seconds': {
            name: dict(median=statistics.median(one), min=min(one), max=max(one))
            for name, one in seconds.items()
        },
        'plain_over_one_pass': dict(
            median=statistics.median(ratios), min=min(ratios), max=max(ratios)
        ),
        'equal_counts': equal,
    }
